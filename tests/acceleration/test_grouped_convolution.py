import pytest
import torch
from helpers.tiny_trainers import SHAPE
from torch import nn
from torch.nn import functional
from transformers import Wav2Vec2Config

from ser.acceleration import faster_functions
from ser.acceleration.faster_functions import use_faster_functions
from ser.acceleration.grouped_convolution import conv1d
from ser.models.classifiers import Wav2Vec2ForSequenceClassification

CPU = torch.device("cpu")


def inputs(groups, channels=12, kernel=5):
    """Frames in the layout of a transformer layer, weights, bias, and a gradient."""
    torch.manual_seed(0)
    values = torch.randn(2, 20, channels).transpose(1, 2)
    weight = torch.randn(channels, channels // groups, kernel)
    return [tensor.requires_grad_() for tensor in (values, weight, torch.randn(channels))]


@pytest.mark.parametrize("settings", [{"padding": (2,)}, {"stride": (2,), "dilation": 2}, {"stride": 3}])
def test_values_and_gradients_are_those_of_pytorch_within_the_rounding_of_bfloat16(settings):
    found = []
    for function in (functional.conv1d, conv1d):
        tensors = inputs(groups=3)
        with torch.autocast("cpu", torch.bfloat16):
            made = function(*tensors, groups=3, **settings)
        made.float().square().sum().backward()
        assert made.dtype == torch.bfloat16
        found.append([made, *(tensor.grad for tensor in tensors)])
    for theirs, ours in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours.float(), theirs.float(), rtol=2e-2, atol=2e-2 * float(theirs.detach().abs().max()))


def test_the_channels_of_a_frame_are_neighbours_in_the_result():
    with torch.autocast("cpu", torch.bfloat16):
        made = conv1d(*inputs(groups=3), padding=2, groups=3)
    assert made.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("groups", [1, 12])
def test_convolutions_without_groups_and_of_single_channels_stay_those_of_pytorch(groups):
    tensors = inputs(groups)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(conv1d(*tensors, groups=groups), functional.conv1d(*tensors, groups=groups))


def test_in_float32_nothing_changes():
    tensors = inputs(groups=3)
    made = conv1d(*tensors, padding="same", groups=3)
    assert torch.equal(made, functional.conv1d(*tensors, padding="same", groups=3))
    assert torch.equal(conv1d(*tensors, groups=3), functional.conv1d(*tensors, groups=3))


def test_the_positional_convolution_of_an_encoder_is_computed_so_inside_of_the_context_alone(monkeypatch):
    model, calls = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE)), []

    def watched(*args):
        calls.append(args)
        return conv1d(*args)

    monkeypatch.setitem(faster_functions.FASTER, nn.functional.conv1d, watched)
    convolution = model.wav2vec2.encoder.pos_conv_embed.conv
    frames = torch.randn(1, convolution.in_channels, 30)
    for wanted, device in ((True, torch.device("cuda")), (False, CPU)):
        with use_faster_functions(wanted, device):
            convolution(frames)
        assert calls == []
    with use_faster_functions(True, CPU):
        convolution(frames)
    assert len(calls) == 1
