"""The CNN in front of an encoder, and a model that takes what it makes of a waveform in the waveform's place.

SpecAugment, the feature projection and every dropout come after the CNN: with the CNN frozen, its output for a clip is
the same in every epoch, and `ser.acceleration.feature_cache` keeps it in a file.
"""

import hashlib
import json
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from ser.models.architectures import ARCHITECTURES

name = "CNN"
"""Of this part of an encoder, in words."""

SHAPING = (
    "model_type",
    "hidden_size",
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "conv_bias",
    "feat_extract_norm",
    "feat_extract_activation",
)
"""Entries of a config that, beside the weights, decide what the CNN answers; a family has some of them."""


def can_cache(config: PretrainedConfig) -> bool:
    """Whether the encoder has a CNN that takes the waveform.

    Whisper and wav2vec2-BERT have none: they take the log-mel features of the library's extractor, and Whisper's two
    convolutions are a twentieth of the work of its smallest encoders and less of the others'.
    """
    family = ARCHITECTURES[config.model_type]
    return bool(family.cnn) and not family.features


def is_frozen(classifier: PreTrainedModel) -> bool:
    """Whether no weight of the CNN is trained, whatever froze it."""
    return not any(tensor.requires_grad for _, tensor in weights(classifier))


def weights(classifier: PreTrainedModel) -> list[tuple[str, torch.Tensor]]:
    """The CNN's tensors, by name."""
    prefixes = ARCHITECTURES[classifier.config.model_type].cnn
    return [(name, tensor) for name, tensor in classifier.named_parameters() if name.startswith(prefixes)]


def fingerprint(classifier: PreTrainedModel) -> str:
    """Sha256 of all that decides what the CNN makes of a waveform."""
    config = classifier.config
    shape = {name: getattr(config, name) for name in SHAPING if hasattr(config, name)}
    return digest_of(shape, weights(classifier))


def digest_of(shape: dict[str, Any], tensors: list[tuple[str, torch.Tensor]]) -> str:
    """Sha256 of settings and named tensors."""
    digest = hashlib.sha256(json.dumps(shape).encode())
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def channels(config: PretrainedConfig) -> int:
    """Channels of the CNN's output."""
    return int(config.hidden_size if config.model_type == "moonshine" else config.conv_dim[-1])


@torch.no_grad()
def run(classifier: PreTrainedModel, waveforms: torch.Tensor) -> torch.Tensor:
    """What the CNN makes of waveforms `(batch, samples)`: `(batch, channels, frames)`.

    Of Moonshine's it is the output of the third convolution, before the activation: see `Bypass`.
    """
    if classifier.config.model_type != "moonshine":
        made: torch.Tensor = classifier.base_model.feature_extractor(waveforms)
        return made
    encoder = classifier.encoder
    hidden_states = encoder.groupnorm(nn.functional.tanh(encoder.conv1(waveforms[:, None])))
    hidden_states = encoder.conv3(nn.functional.gelu(encoder.conv2(hidden_states)))
    return hidden_states


def install(classifier: PreTrainedModel) -> None:
    """Let a classifier take `(batch, channels, frames)` of `run` as its `input_values`, with the mask of samples.

    A waveform `(batch, samples)` still goes through the CNN. Modules, tensors and their names stay what they are, so a
    checkpoint is the same with and without; installing twice is installing once. One forward pass at a time:
    `torch.nn.DataParallel`, which runs several in threads, would mix up Moonshine's.
    """
    assert can_cache(classifier.config)
    if classifier.config.model_type == "moonshine":
        Bypass(classifier.encoder)
    else:
        module = classifier.base_model.feature_extractor
        module.forward = partial(features_or_waveform, module)


def features_or_waveform(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """The forward of the wav2vec2 line's CNN: features as they are, a waveform through the convolutions."""
    if inputs.dim() == 3:
        return in_the_type_of(module, inputs)
    made: torch.Tensor = type(module).forward(module, inputs)
    return made


def in_the_type_of(module: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Features as the next layer can take them: autocast takes any type, the bare weights only their own."""
    kind = features.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # there is none of "meta"
        return features
    return features.to(next(module.parameters()).dtype)


class Bypass:
    """Features past the CNN of Moonshine, which is no module: its encoder calls four, with activations in between.

    The first convolution keeps the features and lets an empty tensor go through the activations; the third gives the
    features back. The activation after it is the encoder's own, hence features are kept as they are before it.
    """

    def __init__(self, encoder: Any) -> None:
        self.features: torch.Tensor | None = None
        encoder.conv1.forward = partial(self.keep, encoder.conv1)
        encoder.groupnorm.forward = partial(self.skip, encoder.groupnorm)
        encoder.conv2.forward = partial(self.skip, encoder.conv2)
        encoder.conv3.forward = partial(self.give, encoder.conv3)

    def keep(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """The encoder puts an axis in front of the last: a waveform comes as `(batch, 1, samples)`."""
        is_waveform = inputs.shape[1] == 1 and inputs.dim() == 3
        self.features = None if is_waveform else in_the_type_of(module, inputs.squeeze(1))
        return self.skip(module, inputs if is_waveform else inputs.new_empty(0))

    def skip(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Run a module on a waveform, and no module on features."""
        made: torch.Tensor = type(module).forward(module, inputs) if self.features is None else inputs
        return made

    def give(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """The features, and no hold on them any more."""
        features, self.features = self.features, None
        return self.skip(module, inputs) if features is None else features
