import pytest
import torch
from helpers.tiny_models import BACKBONE, model_config, publish_ctc, remove_tensors
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from ser.corpora.ravdess import EMOTIONS
from ser.errors import UserError
from ser.models import checkpoint


@pytest.fixture
def ctc(tmp_path):
    return publish_ctc(tmp_path / "ctc")


def test_every_stored_tensor_of_the_encoder_is_loaded_exactly_and_in_float32(ctc):
    classifier, _ = checkpoint.build(model_config(ctc), EMOTIONS)
    stored, loaded = load_file(ctc / "model.safetensors"), classifier.state_dict()
    encoder = [name for name in loaded if name.startswith("hubert.")]
    assert len(encoder) == len([name for name in stored if name.startswith("hubert.")])
    for name in encoder:
        assert loaded[name].dtype == torch.float32
        legacy = name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        )
        assert torch.equal(loaded[name], stored[name if name in stored else legacy].float()), name
    assert classifier.config.id2label == dict(enumerate(EMOTIONS))


def test_only_the_head_is_new_and_the_log_reports_it(ctc, caplog):
    with caplog.at_level("INFO", logger="ser"):
        checkpoint.build(model_config(ctc), EMOTIONS)
    line = next(message for message in caplog.messages if "new tensors" in message)
    assert line.split(": ")[1] == "classifier.bias, classifier.weight, projector.bias, projector.weight"


def test_new_layer_weights_start_equal_and_not_as_whatever_was_in_memory(ctc):
    torch.full((4096,), 7.7)  # leaves its values in the memory that the next tensors get
    classifier, _ = checkpoint.build(model_config(ctc, weighted_layer_sum=True), EMOTIONS)
    assert classifier.layer_weights.tolist() == pytest.approx([1 / 3] * 3)


def test_a_missing_encoder_tensor_ends_the_run(ctc):
    remove_tensors(ctc, "encoder.layers.1.attention.q_proj.weight")
    with pytest.raises(UserError, match=r"encoder\.layers\.1\.attention\.q_proj\.weight missing"):
        checkpoint.build(model_config(ctc), EMOTIONS)


def test_an_unexpected_tensor_ends_the_run(ctc):
    tensors = load_file(ctc / "model.safetensors")
    save_file({**tensors, "hubert.surprise": torch.zeros(1)}, ctc / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"hubert\.surprise unexpected"):
        checkpoint.build(model_config(ctc), EMOTIONS)


def test_an_encoder_published_without_its_mask_vector_is_loaded(tmp_path):
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**BACKBONE, vocab_size=32))
    model.save_pretrained(tmp_path / "ctc")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "ctc")
    remove_tensors(tmp_path / "ctc", "masked_spec_embed")
    classifier, extractor = checkpoint.build(model_config(tmp_path / "ctc"), EMOTIONS)
    assert torch.isfinite(classifier.wav2vec2.masked_spec_embed).all()
    assert extractor.return_attention_mask is False
