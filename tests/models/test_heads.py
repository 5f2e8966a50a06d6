import numpy as np
import pytest
import torch
from helpers.tiny_models import LAYER_NORM, SHAPE
from transformers import HubertConfig, MoonshineConfig, Wav2Vec2Config
from transformers.models.hubert import modeling_hubert
from transformers.models.wav2vec2 import modeling_wav2vec2

from ser.models import classifiers
from ser.models.heads import masked_mean
from ser.models.moonshine import MoonshineForAudioClassification


def moonshine_config(**settings):
    return MoonshineConfig(
        hidden_size=32,
        intermediate_size=64,
        encoder_num_hidden_layers=2,
        encoder_num_attention_heads=2,
        encoder_num_key_value_heads=2,
        num_labels=8,
        classifier_proj_size=16,
        **{"use_weighted_layer_sum": False, **settings},
    )


def padded(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values, mask = torch.zeros(len(lengths), max(lengths)), torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        values[row, :length] = torch.randn(length, generator=generator)
        mask[row, :length] = 1
    return values, mask


def test_the_mean_is_over_true_lengths():
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    hidden[0, 2] = float("nan")
    means = masked_mean(hidden, torch.tensor([2, 3]))
    assert means.tolist() == [[1.0, 2.0], [8.0, 9.0]]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("settings", [{}, LAYER_NORM], ids=["group", "layer"])
@pytest.mark.parametrize(
    ("ours", "stock", "config"),
    [
        (
            classifiers.Wav2Vec2ForSequenceClassification,
            modeling_wav2vec2.Wav2Vec2ForSequenceClassification,
            Wav2Vec2Config,
        ),
        (classifiers.HubertForSequenceClassification, modeling_hubert.HubertForSequenceClassification, HubertConfig),
    ],
    ids=["wav2vec2", "hubert"],
)
def test_one_clip_gives_the_logits_of_the_stock_class(ours, stock, config, settings, weighted):
    torch.manual_seed(0)
    model = ours(config(**SHAPE, **settings, use_weighted_layer_sum=weighted)).eval()
    twin = stock(model.config).eval()
    twin.load_state_dict(model.state_dict())
    values, _ = padded([8000])
    assert torch.allclose(model(values).logits, twin(values).logits, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        classifiers.Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE, **LAYER_NORM)),
        classifiers.HubertForSequenceClassification(HubertConfig(**SHAPE, **LAYER_NORM)),
    ],
    ids=["wav2vec2", "hubert"],
)
def test_a_layer_norm_encoder_answers_the_same_alone_and_in_a_batch(model):
    model.eval()
    values, mask = padded([5000, 8000, 12000])
    together = model(values, mask).logits
    for row, length in enumerate([5000, 8000, 12000]):
        alone = model(values[row : row + 1, :length]).logits
        assert torch.allclose(alone, together[row : row + 1], atol=1e-5)


def test_a_group_norm_encoder_is_given_no_mask_and_still_pools_true_lengths():
    model = classifiers.Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE)).eval()
    values, mask = padded([5000, 8000])
    frames = model.frames(mask.sum(-1))
    assert model.encoder_mask(mask, frames) is None
    hidden = model.wav2vec2(values).last_hidden_state
    expected = model.classifier(masked_mean(model.projector(hidden), frames))
    assert torch.allclose(model(values, mask).logits, expected, atol=1e-6)


@pytest.mark.parametrize("samples", [895, 1200, 16000, 46980, 84351])
def test_frames_are_those_that_the_moonshine_cnn_makes(samples):
    model = MoonshineForAudioClassification(moonshine_config()).eval()
    assert (
        model.frames(torch.tensor([samples])).item()
        == model.encoder(torch.randn(1, samples)).last_hidden_state.shape[1]
    )


@pytest.mark.parametrize("samples", [895, 5000, 16001])
def test_the_moonshine_mask_leaves_exactly_the_true_frames(samples):
    model = MoonshineForAudioClassification(moonshine_config()).eval()
    _, mask = padded([samples, 20000])
    frames = model.frames(mask.sum(-1))
    kept = model.encoder_mask(mask, frames)[:, ::384]
    assert kept.sum(-1).tolist() == frames.tolist()


def test_moonshine_weighs_every_layer():
    model = MoonshineForAudioClassification(moonshine_config(use_weighted_layer_sum=True))
    model(torch.randn(2, 4000), labels=torch.tensor([0, 1])).loss.backward()
    assert model.layer_weights.shape == (3,)
    assert np.isfinite(model.layer_weights.grad).all()
    assert (model.layer_weights.grad != 0).all()
