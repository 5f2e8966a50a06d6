"""Score clips with a classifier, outside of training: float32, no padding that could change an answer."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel


def device() -> torch.device:
    """Where to compute: an NVIDIA or AMD GPU, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@torch.inference_mode()
def logits(classifier: PreTrainedModel, batches: Iterable[dict[str, Any]]) -> npt.NDArray[np.float32]:
    """Logits `(clips, emotions)` of batches, one after the other.

    Answers in float32 even on hardware that trains in less, so that they are those of `transformers.pipeline`.
    """
    classifier.eval().to(device())
    outputs = [
        classifier(**{name: tensor.to(device()) for name, tensor in batch.items() if name != "labels"}).logits
        for batch in batches
    ]
    scores: npt.NDArray[np.float32] = torch.cat(outputs).float().cpu().numpy()
    return scores
