"""Compute the logits of a classifier outside of training, in float32."""

from collections.abc import Callable, Iterable

import torch
from transformers import PreTrainedModel

from ser.data.parallel import count_side_by_side, map_side_by_side
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


def compute_logits(classifier: PreTrainedModel, batches: Iterable[Batch]) -> Logits:
    """Logits `(clips, emotions)` of batches, one after the other.

    Computes in float32 even on hardware that trains in less, so that the logits equal those of `transformers.pipeline`.
    On a CPU batches are computed side by side, with the threads shared out among them.
    """
    device = default_device()
    classifier.eval().to(device)
    workers = count_side_by_side() if device.type == "cpu" else 1

    @torch.inference_mode()
    def compute(batch: Batch) -> torch.Tensor:
        outputs = classifier(**{name: tensor.to(device) for name, tensor in batch.items() if name != "labels"})
        logits: torch.Tensor = outputs.logits
        return logits

    scores: Logits = torch.cat(map_side_by_side(compute, batches, workers)).float().cpu().numpy()
    return scores
