"""Compute the logits of a classifier outside of training, in float32."""

from collections.abc import Callable, Iterable

import torch
from transformers import PreTrainedModel

from ser.models.arrays import Logits

Batch = dict[str, torch.Tensor]
"""The output of a collator."""
LogitsFunction = Callable[[Iterable[Batch]], Logits]
"""Computes the logits of batches, one after the other."""


def default_device() -> torch.device:
    """Return the device to compute on: an NVIDIA or AMD GPU, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@torch.inference_mode()
def compute_logits(classifier: PreTrainedModel, batches: Iterable[Batch]) -> Logits:
    """Logits `(clips, emotions)` of batches, one after the other.

    Computes in float32 even on hardware that trains in less, so that the logits equal those of `transformers.pipeline`.
    """
    classifier.eval().to(default_device())
    outputs = [
        classifier(**{name: tensor.to(default_device()) for name, tensor in batch.items() if name != "labels"}).logits
        for batch in batches
    ]
    scores: Logits = torch.cat(outputs).float().cpu().numpy()
    return scores
