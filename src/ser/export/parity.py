"""Whether an exported model answers as its checkpoint does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser.data.audio import SAMPLE_RATE, Int16
from ser.data.dataset import collator_for
from ser.errors import UserError
from ser.models.checkpoint import Checkpoint
from ser.models.forward import Batch, Logits
from ser.models.outputs import Outputs

SECONDS = (0.5, 1.3, 3.7)
"""Lengths of the clips that are compared; the last is RAVDESS's mean."""
TOLERANCE = 1e-4
"""Largest difference that passes for rounding: of probabilities, and of logits as a share of the largest (of one, where
all are below it). Rounding grows with them: fine-tuned Moonshine-tiny has logits up to 28, off by 4e-6 of that."""


def trial_batches(extractor: SequenceFeatureExtractor) -> list[Batch]:
    """Each clip by itself, and all of them padded to the longest."""
    collator = collator_for(extractor)
    clips: list[Any] = [{"samples": murmur(seconds), "label": 0} for seconds in SECONDS]
    return [collator(batch) for batch in ([clip] for clip in clips)] + [collator(clips)]


def murmur(seconds: float) -> Int16:
    """A harmonic tone with syllables in a little noise: no two frames are alike, which hides no shift."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 2 * np.pi * (120 * time + 15 * time**2)
    voice = sum(np.sin(harmonic * pitch) / harmonic for harmonic in range(1, 9)) * np.sin(2 * np.pi * 2 * time) ** 2
    noise = np.random.default_rng(0).standard_normal(len(time))
    return np.asarray(4000 * voice + 200 * noise).astype(np.int16)


@torch.inference_mode()
def on_cpu(classifier: PreTrainedModel, batches: Iterable[Batch]) -> Logits:
    """What a checkpoint answers on the CPU; a GPU may round convolutions to TF32."""
    inputs = [{name: tensor for name, tensor in batch.items() if name != "labels"} for batch in batches]
    logits: Logits = torch.cat([classifier.cpu()(**batch).logits for batch in inputs]).numpy()
    return logits


@dataclass(frozen=True)
class Expected:
    """What a checkpoint answers to some batches, and what that means."""

    batches: list[Batch]
    logits: Logits
    outputs: Outputs

    @classmethod
    def of(cls, model: Checkpoint) -> "Expected":
        """The answers to the trial batches."""
        batches = trial_batches(model.extractor)
        return cls(batches, on_cpu(model.classifier, batches), model.outputs)


def check(expected: Expected, found: Logits) -> None:
    """Raise a UserError where two models differ by more than rounding."""
    difference, largest = of_logits(expected.logits, found), float(np.abs(expected.logits).max())
    share = max(difference / max(1.0, largest), of_probabilities(expected, found))
    if not share <= TOLERANCE:  # NaN is refused too
        raise UserError(
            f"the ONNX model differs from its checkpoint by {difference:.1e} in logits of up to {largest:.1f}, "
            f"which is more than rounding ({TOLERANCE:.0e}); nothing was written"
        )


def of_logits(expected: Logits, found: Logits) -> float:
    """The largest difference of logits."""
    return float(np.abs(expected - found).max())


def of_probabilities(expected: Expected, found: Logits) -> float:
    """The largest difference of probabilities."""
    probabilities = expected.outputs.probabilities
    return float(np.abs(probabilities(expected.logits) - probabilities(found)).max())
