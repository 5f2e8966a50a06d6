import json
import subprocess

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.commands import FRESH_PYTHON
from helpers.tiny_models import BACKBONE, LAYER_NORM, model_config, publish_ctc, remove_tensors
from safetensors.torch import save_file

from ser.corpora.ravdess import EMOTIONS
from ser.errors import UserError
from ser.models import checkpoint


@pytest.fixture
def ctc(tmp_path):
    return publish_ctc(tmp_path / "ctc")


def test_a_seed_gives_the_same_head(ctc):
    def head(seed):
        torch.manual_seed(seed)
        classifier, _ = checkpoint.build(model_config(ctc, weighted_layer_sum=True), EMOTIONS)
        return {name: tensor for name, tensor in classifier.state_dict().items() if not name.startswith("hubert.")}

    one, same, other = head(0), head(0), head(1)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_what_the_checkpoint_brings_is_overridden_and_logged(ctc, caplog):
    with caplog.at_level("INFO", logger="ser"):
        classifier, _ = checkpoint.build(model_config(ctc, encoder_config={"layerdrop": 0.0}), EMOTIONS)
    assert classifier.config.layerdrop == 0.0
    assert "model.encoder_config.layerdrop = 0.0 (the checkpoint brings 0.3)" in caplog.messages


def test_the_norm_of_the_cnn_decides_whether_a_mask_is_made(ctc):
    _, extractor = checkpoint.build(model_config(ctc), EMOTIONS)
    assert extractor.return_attention_mask is True


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_waveform_is_normalised_where_the_run_asks_for_it_and_the_saved_checkpoint_says_so(
    wanted, pretrained, ctc, tmp_path
):
    shape = {} if pretrained else {"encoder_config": {"model_type": "wav2vec2", **BACKBONE, **LAYER_NORM}}
    classifier, extractor = checkpoint.build(
        model_config(ctc if pretrained else None, do_normalize=wanted, **shape), EMOTIONS
    )
    checkpoint.save(classifier, extractor, tmp_path / "saved", {})
    assert checkpoint.open_checkpoint(tmp_path / "saved").extractor.do_normalize is wanted


def test_another_normalisation_than_that_of_the_pretrained_checkpoint_is_logged(ctc, caplog):
    with caplog.at_level("INFO", logger="ser"):
        checkpoint.build(model_config(ctc, do_normalize=True), EMOTIONS)
        checkpoint.build(model_config(ctc, do_normalize=False), EMOTIONS)
    logged = [message for message in caplog.messages if "do_normalize" in message]
    assert logged == ["model.do_normalize = false (the extractor brings true)"]


def test_without_a_wish_a_waveform_is_normalised_as_the_pretrained_checkpoint_says(ctc):
    for brought in (True, False):
        preprocessor = ctc / "preprocessor_config.json"
        preprocessor.write_text(json.dumps({**json.loads(preprocessor.read_text()), "do_normalize": brought}))
        _, extractor = checkpoint.build(model_config(ctc), EMOTIONS)
        assert extractor.do_normalize is brought


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layerdorp": 0.0}, "layerdorp.*no such setting"), ({"hidden_size": 64}, "of another shape")],
)
def test_a_setting_that_does_not_fit_the_checkpoint_ends_the_run(settings, message, ctc):
    with pytest.raises(UserError, match=message):
        checkpoint.build(model_config(ctc, encoder_config=settings), EMOTIONS)


def tiny(labels=EMOTIONS):
    return checkpoint.build(
        model_config(None, encoder_config={"model_type": "wav2vec2", **BACKBONE, **LAYER_NORM}), labels
    )


def test_a_saved_checkpoint_loads_whole_and_answers_the_same(tmp_path):
    classifier, extractor = tiny()
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {"corpus": "toy"})
    again, _ = checkpoint.load(tmp_path / "checkpoint", EMOTIONS)
    values = torch.randn(2, 6000)
    assert torch.equal(classifier.eval()(values).logits, again.eval()(values).logits)
    assert checkpoint.stamp_of(tmp_path / "checkpoint") == {"corpus": "toy"}
    assert {path.suffix for path in (tmp_path / "checkpoint").iterdir()} == {".json", ".safetensors"}


def test_a_saved_checkpoint_names_the_stock_class(tmp_path):
    classifier, extractor = tiny()
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {})
    held = json.loads((tmp_path / "checkpoint" / "config.json").read_text())
    assert held["architectures"] == ["Wav2Vec2ForSequenceClassification"]
    assert "auto_map" not in held
    assert held["dtype"] == "float32"


PIPELINE = """
import sys, json, numpy
from transformers import pipeline
assert "ser" not in sys.modules
classify = pipeline("audio-classification", model=sys.argv[1], trust_remote_code=sys.argv[3] == "code", top_k=None)
answer = classify(numpy.load(sys.argv[2]))
assert "ser" not in sys.modules
print(json.dumps({row["label"]: row["score"] for row in answer}))
"""


def in_pipeline(folder, waveform, trust):
    np.save(folder.parent / "clip.npy", waveform)
    arguments = [FRESH_PYTHON, "-c", PIPELINE, str(folder), str(folder.parent / "clip.npy"), "code" if trust else ""]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("model_type", ["wav2vec2", "moonshine"])
def test_the_librarys_pipeline_gives_the_same_probabilities_in_another_process(model_type, tmp_path):
    settings = {"model_type": model_type, **BACKBONE, **LAYER_NORM}
    if model_type == "moonshine":
        settings = dict(
            model_type="moonshine",
            hidden_size=32,
            intermediate_size=64,
            encoder_num_hidden_layers=2,
            encoder_num_attention_heads=2,
            encoder_num_key_value_heads=2,
        )
    classifier, extractor = checkpoint.build(model_config(None, encoder_config=settings), EMOTIONS)
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {})
    waveform = np.random.default_rng(0).standard_normal(9000).astype(np.float32) * 0.1
    values = extractor(waveform, sampling_rate=16000, return_tensors="pt").input_values
    with torch.inference_mode():
        ours = classifier.eval()(values).logits.softmax(-1)[0]
    theirs = in_pipeline(tmp_path / "checkpoint", waveform, trust=model_type == "moonshine")
    assert ours.tolist() == pytest.approx([theirs[emotion] for emotion in EMOTIONS], abs=1e-5)


def test_a_checkpoint_with_other_labels_is_refused(tmp_path):
    classifier, extractor = tiny(labels=["happy", "sad"])
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {})
    with pytest.raises(UserError, match="its labels are happy, sad"):
        checkpoint.load(tmp_path / "checkpoint", EMOTIONS)


def test_a_checkpoint_without_its_head_is_refused(tmp_path):
    classifier, extractor = tiny()
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {})
    remove_tensors(tmp_path / "checkpoint", "classifier.weight")
    (tmp_path / "checkpoint" / "checksums.json").unlink()  # which would tell, too
    with pytest.raises(UserError, match="no trained head"):
        checkpoint.load(tmp_path / "checkpoint", EMOTIONS)


@pytest.mark.parametrize(
    ("files", "message"),
    [([], "no config.json"), (["config.json"], "no model.safetensors")],
)
def test_a_folder_that_is_no_checkpoint_is_named(files, message, tmp_path):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=message):
        checkpoint.stamp_of(tmp_path)
    with pytest.raises(UserError, match=message):
        checkpoint.build(model_config(tmp_path), EMOTIONS)


def test_a_checkpoint_of_another_program_is_named(ctc):
    with pytest.raises(UserError, match="does not say what it was trained on"):
        checkpoint.stamp_of(ctc)


def test_an_unknown_architecture_is_refused_with_the_choices(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="unknown model_type 'bert'; choices: data2vec-audio, hubert, moonshine,"):
        checkpoint.build(model_config(tmp_path), EMOTIONS)


def test_a_missing_path_is_distinguished_from_a_hub_name():
    with pytest.raises(UserError, match="there is no such folder"):
        checkpoint.build(model_config("./nowhere"), EMOTIONS)


def test_a_checkpoint_that_cannot_be_had_is_one_line_that_states_both(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"not in the local cache, and the hub.*model\.pretrained=PATH") as error:
        checkpoint.build(model_config("facebook/hubert-large-ls960-ft"), EMOTIONS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json"])
def test_a_damaged_file_is_named_and_not_used(name, tmp_path):
    classifier, extractor = tiny()
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {})
    checkpoint.load(tmp_path / "checkpoint", EMOTIONS)
    content = bytearray((tmp_path / "checkpoint" / name).read_bytes())
    content[-3] ^= 1
    (tmp_path / "checkpoint" / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"checkpoint/{name} is damaged: it is not what was saved"):
        checkpoint.load(tmp_path / "checkpoint", EMOTIONS)


@pytest.mark.parametrize(
    "shape", [{"num_attention_heads": 3}, {"conv_kernel": [10]}, {"num_attention_heads": 1000000}, {"conv_dim": []}]
)
def test_a_shape_that_no_encoder_can_have_is_one_line(shape):
    cfg = composed("train", "model=tiny")
    cfg.model.encoder_config.update(shape)
    with pytest.raises(UserError, match=r"^model\.encoder_config: "):
        checkpoint.build(cfg.model, EMOTIONS)
