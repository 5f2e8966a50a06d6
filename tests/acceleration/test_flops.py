import pytest
import torch
from helpers.tiny_trainers import SHAPE
from transformers import Wav2Vec2Config, set_seed

from ser.acceleration import flops, frozen_layers
from ser.acceleration.flops import count_training_flops, flops_per_clip, peak_flops
from ser.acceleration.frozen_cnn import FrozenCnn
from ser.models.classifiers import Wav2Vec2ForSequenceClassification

SAMPLES, CLIPS = 6000, 3
FIRST, FRAMES = 1199, 19  # steps after each of the two convolutions: (6000 - 10) // 5 + 1, (1199 - 8) // 64 + 1
# A product of m x k and k x n is 2 m n k; a convolution is one for each step of its output.
CNN = 2 * FIRST * 10 * 8, 2 * FRAMES * 8 * 8 * 8
LAYER = 4 * 2 * FRAMES * 16 * 16 + 2 * 2 * FRAMES * FRAMES * 16 + 2 * 2 * FRAMES * 16 * 32
POSITIONS = 2 * (FRAMES + 1) * 8 * 8 * 16  # 8 steps, 2 groups of 8 channels to 16; it makes a frame too many
ENCODER = 2 * FRAMES * 8 * 16 + POSITIONS + LAYER
PROJECTOR, CLASSIFIER = 2 * FRAMES * 16 * 8, 2 * 8 * 8


def encoder(frozen_cnn=True, **settings):
    set_seed(0)
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**{**SHAPE, **settings}))
    if frozen_cnn:
        model.freeze_feature_encoder()
    return model


def batch(values=None):
    values = torch.zeros(CLIPS, SAMPLES) if values is None else values
    return {
        "input_values": values,
        "attention_mask": torch.ones(CLIPS, SAMPLES, dtype=torch.long),
        "labels": torch.zeros(CLIPS, dtype=torch.long),
    }


def test_what_is_trained_counts_three_times_and_what_is_frozen_once():
    expected = CLIPS * (sum(CNN) + 3 * (ENCODER + PROJECTOR + CLASSIFIER))
    assert count_training_flops(encoder(), batch()) == expected


def test_the_gradient_of_the_waveform_is_not_wanted():
    expected = CLIPS * (2 * CNN[0] + 3 * (CNN[1] + ENCODER + PROJECTOR + CLASSIFIER))
    assert count_training_flops(encoder(frozen_cnn=False), batch()) == expected


def test_a_frozen_encoder_is_run_and_only_the_head_is_trained():
    model = encoder()
    for parameter in model.wav2vec2.parameters():
        parameter.requires_grad = False
    expected = CLIPS * (sum(CNN) + ENCODER + 2 * PROJECTOR + 3 * CLASSIFIER)
    assert count_training_flops(model, batch()) == expected


def test_with_cached_features_the_cnn_counts_nothing():
    model = encoder()
    FrozenCnn().install(model)
    frames = torch.zeros(CLIPS, 8, FRAMES, dtype=torch.bfloat16)
    assert count_training_flops(model, batch(frames)) == CLIPS * 3 * (ENCODER + PROJECTOR + CLASSIFIER)


def test_with_cached_layers_only_those_above_count():
    model = encoder(num_hidden_layers=2)
    frozen_layers.FrozenLayers(1).install(model)
    states = torch.zeros(CLIPS, 16, FRAMES)
    assert count_training_flops(model, batch(states)) == CLIPS * 3 * (LAYER + PROJECTOR + CLASSIFIER)


def test_dropped_layers_and_masks_are_counted_as_if_they_were_not_and_the_model_stays_as_it_was():
    model = encoder(layerdrop=0.9, mask_time_prob=0.5, mask_time_length=2).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    counts = {count_training_flops(model, batch()) for _ in range(3)}
    assert counts == {count_training_flops(encoder(), batch())}
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("Tesla T4", 65),
        ("Tesla V100-SXM2-16GB", 125),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA A10", 125),
        ("NVIDIA GeForce RTX 3090", 71),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA B200", 2250),
        ("NVIDIA L40S", None),
        ("NVIDIA A10G", None),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
    ],
)
def test_a_device_has_the_peak_of_its_own_name_or_none(name, teraflops):
    assert peak_flops(name) == (None if teraflops is None else teraflops * 1e12)


class Three:
    def lengths(self):
        return [9000, 6000, 3000]

    def __getitem__(self, index):
        return self.lengths()[index]


@pytest.mark.parametrize(("name", "known"), [("NVIDIA L4", True), ("NVIDIA L40S", False)])
def test_a_clip_of_median_length_is_counted_where_the_peak_is_known(name, known, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    monkeypatch.setattr(flops, "count_training_flops", lambda model, batch: batch)
    assert flops_per_clip(None, Three(), lambda clips: clips) == ([6000] if known else None)
