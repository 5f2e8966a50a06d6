"""The interface of a frozen part of an encoder, whose output is cached."""

from typing import Protocol

import torch
from transformers import PretrainedConfig, PreTrainedModel


class FrozenPart(Protocol):
    """A frozen part of an encoder, from the waveform on."""

    @property
    def name(self) -> str:
        """The name of the part in a log."""

    def fingerprint(self, classifier: PreTrainedModel) -> str:
        """Compute the sha256 of everything that decides the output for a waveform."""

    def channels(self, config: PretrainedConfig) -> int:
        """Return the width of a frame of the output."""

    def run(self, classifier: PreTrainedModel, waveforms: torch.Tensor) -> torch.Tensor:
        """Compute the output `(batch, channels, frames)` for waveforms `(batch, samples)`."""

    def install(self, classifier: PreTrainedModel) -> None:
        """Let a classifier take that output as its `input_values`."""
