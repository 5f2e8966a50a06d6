import numpy as np
import pytest
import torch
from helpers.published import PUBLISHED, publish
from helpers.tiny_models import model_config
from helpers.toys import clips, saved

from ser.config import Ensemble
from ser.corpora.ravdess import EMOTIONS
from ser.data.dataset import collator_for
from ser.inference.checkpoint_member import CheckpointMember
from ser.inference.predictor import Predictor
from ser.models import checkpoint
from ser.models.outputs import Outputs


@pytest.fixture(scope="module", params=PUBLISHED)
def member(request, tmp_path_factory):
    """A classifier of each architecture with a learned weighted layer sum."""
    folder = publish(request.param, tmp_path_factory.mktemp("hub") / request.param)
    settings = (
        {"encoder_config": {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}} if "turkish" in request.param else {}
    )
    torch.manual_seed(1)
    classifier, extractor = checkpoint.build(model_config(folder, weighted_layer_sum=True, **settings), EMOTIONS)
    torch.nn.init.normal_(classifier.layer_weights)
    outputs = Outputs(list(EMOTIONS), "softmax")
    return CheckpointMember(folder.name, folder, False, outputs, {}, classifier, collator_for(extractor))


def test_an_embedding_does_not_depend_on_the_batch_and_the_head_gives_the_same_prediction_of_it(member):
    waveforms = clips(0.3, 1.1, 0.5, 0.7)
    shares, frames = member.embed(waveforms, batch_size=4, frames=True)
    assert np.allclose(shares, member.predict(waveforms, 4), atol=1e-6)
    assert len({len(each) for each in frames}) == len(waveforms), "each has its own length, not that of the batch"
    _, means = member.embed(waveforms, batch_size=4, frames=False)
    for waveform, per_frame, mean in zip(waveforms, frames, means, strict=True):
        _, (alone,) = member.embed([waveform], batch_size=1, frames=True)
        assert alone.shape == per_frame.shape == (len(per_frame), member.classifier.config.hidden_size)
        assert np.allclose(alone, per_frame, atol=1e-4)
        assert np.allclose(per_frame.mean(axis=0), mean, atol=1e-5)


def test_the_learned_weights_of_the_layers_decide_the_embedding(member):
    waveforms = clips(0.5)
    _, (before,) = member.embed(waveforms, 1, frames=False)
    with torch.no_grad():
        member.classifier.layer_weights.copy_(-member.classifier.layer_weights)
    _, (after,) = member.embed(waveforms, 1, frames=False)
    assert not np.allclose(before, after, atol=1e-3)


def test_an_embedding_is_what_the_library_computes(tmp_path):
    one = Predictor.from_checkpoints([str(saved(tmp_path / "a"))], Ensemble.mean, 4, embeds=True)
    (waveform,) = clips(0.5)
    (prediction,) = one.predict([waveform])
    classifier = one.members[0].classifier
    inputs = torch.from_numpy(waveform.astype(np.float32) / 32768)[None]
    inputs = (inputs - inputs.mean()) / (inputs.var(correction=0) + 1e-7).sqrt()
    with torch.inference_mode():
        hidden = classifier.wav2vec2(inputs).last_hidden_state
    assert np.allclose(prediction.embedding, hidden[0].mean(dim=0).numpy(), atol=1e-5)
