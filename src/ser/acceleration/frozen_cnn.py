"""The frozen CNN of an encoder, and a classifier that takes the CNN's output in place of the waveform.

SpecAugment, the feature projection and every dropout come after the CNN: with the CNN frozen, its output for a clip is
the same in every epoch, and `ser.acceleration.feature_cache` keeps it in a file.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from ser.models.architectures import find_architecture

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
"""Entries of a config that decide the CNN's output besides its weights; an architecture has some of them."""


def can_cache(config: PretrainedConfig) -> bool:
    """Return whether the encoder has a CNN that takes the waveform.

    Whisper and wav2vec2-BERT have none: they take the log-mel features of their extractor, and Whisper's two
    convolutions are a twentieth of the work of its smallest encoders and less of the others'.
    """
    architecture = find_architecture(config)
    return bool(architecture.cnn) and not architecture.takes_features


def is_frozen(classifier: PreTrainedModel) -> bool:
    """Return whether no weight of the CNN is trained, whatever froze it."""
    return not any(tensor.requires_grad for _, tensor in cnn_weights(classifier))


def cnn_weights(classifier: PreTrainedModel) -> list[tuple[str, torch.Tensor]]:
    """Return the CNN's tensors, by name."""
    prefixes = find_architecture(classifier.config).cnn
    return [(name, tensor) for name, tensor in classifier.named_parameters() if name.startswith(prefixes)]


def sha256_of(settings: dict[str, Any], tensors: list[tuple[str, torch.Tensor]]) -> str:
    """Compute the sha256 of settings and named tensors."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class FrozenCnn:
    """The convolutions of an encoder as a `ser.acceleration.frozen_part.FrozenPart`."""

    name = "CNN"

    def fingerprint(self, classifier: PreTrainedModel) -> str:
        """Compute the sha256 of everything that decides the CNN's output for a waveform."""
        config = classifier.config
        settings = {name: getattr(config, name) for name in SHAPING if hasattr(config, name)}
        return sha256_of(settings, cnn_weights(classifier))

    def channels(self, config: PretrainedConfig) -> int:
        """Return the number of channels of the CNN's output."""
        return find_architecture(config).cnn_channels(config)

    @torch.no_grad()
    def run(self, classifier: PreTrainedModel, waveforms: torch.Tensor) -> torch.Tensor:
        """Compute the CNN's output `(batch, channels, frames)` for waveforms `(batch, samples)`."""
        return find_architecture(classifier.config).run_cnn(classifier, waveforms)

    def install(self, classifier: PreTrainedModel) -> None:
        """Let a classifier take the output of `run` as its `input_values`, with the mask of samples.

        A waveform `(batch, samples)` still goes through the CNN. Modules, tensors and their names are unchanged, so a
        checkpoint is the same with and without; installing twice is installing once. Threads may run several forward
        passes side by side.
        """
        assert can_cache(classifier.config)
        if not find_architecture(classifier.config).wav2vec2_layout:
            MoonshineBypass(classifier.encoder)
        else:
            module = classifier.base_model.feature_extractor
            module.forward = partial(features_or_waveform, module)


def features_or_waveform(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Forward of the CNN in the wav2vec2 layout: features pass, a waveform goes through the convolutions."""
    if inputs.dim() == 3:
        return cast_for(module, inputs)
    made: torch.Tensor = type(module).forward(module, inputs)
    return made


def cast_for(module: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Cast features to a type that a module takes: any under autocast, otherwise that of its weights."""
    kind = features.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # there is none of "meta"
        return features
    return features.to(next(module.parameters()).dtype)


class MoonshineBypass:
    """Passes features by the CNN of Moonshine: its encoder calls four modules, with activations in between.

    They are no module of their own, because the names of the tensors would change with it. The first convolution keeps
    the features and passes an empty tensor on to the activations; the third returns the features. The activation after
    it belongs to the encoder, hence features are cached as they are before it.

    Attributes:
        features: Those of the forward pass of each thread, by its number.
    """

    def __init__(self, encoder: Any) -> None:
        self.features: dict[int, torch.Tensor] = {}
        encoder.conv1.forward = partial(self.keep, encoder.conv1)
        encoder.groupnorm.forward = partial(self.skip, encoder.groupnorm)
        encoder.conv2.forward = partial(self.skip, encoder.conv2)
        encoder.conv3.forward = partial(self.restore, encoder.conv3)

    def keep(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Keep features; the encoder adds an axis before the last, so a waveform is `(batch, 1, samples)`."""
        is_waveform = inputs.shape[1] == 1 and inputs.dim() == 3
        if is_waveform:
            self.features.pop(get_ident(), None)  # of a forward pass that failed
            return self.skip(module, inputs)
        self.features[get_ident()] = cast_for(module, inputs.squeeze(1))
        return self.skip(module, inputs.new_empty(0))

    def skip(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Run a module on a waveform, and no module on features."""
        made: torch.Tensor = inputs if get_ident() in self.features else type(module).forward(module, inputs)
        return made

    def restore(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the features and forget them."""
        features = self.features.pop(get_ident(), None)
        return self.skip(module, inputs) if features is None else features
