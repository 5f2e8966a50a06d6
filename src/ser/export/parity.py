"""Whether an exported model predicts as its checkpoint does, and its size and speed beside that."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser.data.audio import SAMPLE_RATE
from ser.data.audio_file import Int16
from ser.data.dataset import collator_for
from ser.errors import UserError
from ser.models.arrays import Logits
from ser.models.checkpoint import Checkpoint
from ser.models.forward import Batch, LogitsFunction
from ser.models.outputs import Outputs

SECONDS = (0.5, 1.3, 3.7)
"""Lengths of the trial clips; the last is the mean of RAVDESS."""
RUNS = 10
"""Of which the median time is taken."""
TOLERANCE = 1e-4
"""Largest difference that counts as rounding: of probabilities, and of logits as a share of the largest one (of 1
where all are below 1). Rounding grows with them: fine-tuned Moonshine-tiny has logits up to 28, off by 4e-6 of that."""


def trial_batches(extractor: SequenceFeatureExtractor) -> list[Batch]:
    """Return each trial clip alone, and all of them padded to the longest."""
    collator = collator_for(extractor)
    clips: list[Any] = [{"samples": synthesise_speech(seconds), "label": 0} for seconds in SECONDS]
    return [collator(batch) for batch in ([clip] for clip in clips)] + [collator(clips)]


def synthesise_speech(seconds: float) -> Int16:
    """Return a harmonic tone with syllables in a little noise: no two frames are equal, so that any shift shows."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 2 * np.pi * (120 * time + 15 * time**2)
    voice = sum(np.sin(harmonic * pitch) / harmonic for harmonic in range(1, 9)) * np.sin(2 * np.pi * 2 * time) ** 2
    noise = np.random.default_rng(0).standard_normal(len(time))
    return np.asarray(4000 * voice + 200 * noise).astype(np.int16)


@torch.inference_mode()
def logits_on_cpu(classifier: PreTrainedModel, batches: Iterable[Batch]) -> Logits:
    """Return the logits of a checkpoint on the CPU; a GPU may round convolutions to TF32."""
    inputs = [{name: tensor for name, tensor in batch.items() if name != "labels"} for batch in batches]
    logits: Logits = torch.cat([classifier.cpu()(**batch).logits for batch in inputs]).numpy()
    return logits


@dataclass(frozen=True)
class Expected:
    """The logits of a checkpoint for some batches."""

    batches: list[Batch]
    logits: Logits
    outputs: Outputs

    @classmethod
    def from_checkpoint(cls, model: Checkpoint) -> "Expected":
        """Compute the logits of the trial batches."""
        batches = trial_batches(model.extractor)
        return cls(batches, logits_on_cpu(model.classifier, batches), model.outputs)


def check_parity(expected: Expected, found: Logits) -> None:
    """Raise a UserError where two models differ by more than rounding."""
    difference, largest = logits_difference(expected.logits, found), float(np.abs(expected.logits).max())
    share = max(difference / max(1.0, largest), probabilities_difference(expected, found))
    if not share <= TOLERANCE:  # NaN is refused too
        raise UserError(
            f"the ONNX model differs from its checkpoint by {difference:.1e} in logits of up to {largest:.1f}, "
            f"which is more than rounding ({TOLERANCE:.0e}); nothing was written"
        )


def logits_difference(expected: Logits, found: Logits) -> float:
    """Return the largest difference of logits."""
    return float(np.abs(expected - found).max())


def probabilities_difference(expected: Expected, found: Logits) -> float:
    """Return the largest difference of probabilities."""
    probabilities = expected.outputs.probabilities
    return float(np.abs(probabilities(expected.logits) - probabilities(found)).max())


@dataclass(frozen=True)
class Measurements:
    """One form of a model, beside its checkpoint."""

    name: str
    bytes: int
    logits_difference: float
    """The largest difference from the checkpoint on the trial clips."""
    probabilities_difference: float
    milliseconds: float
    """For one clip of 3.7 s."""
    accuracy: float | None
    """On the test split; None where it was not scored."""


def measure_form(
    name: str, files: Sequence[Path], compute: LogitsFunction, expected: Expected, accuracy: float | None
) -> Measurements:
    """Measure one form of a model.

    Args:
        name: of the form.
        files: its weights.
        compute: its logits.
        expected: the logits of the checkpoint.
        accuracy: on the test split, where it was scored.
    """
    found = compute(expected.batches)
    return Measurements(
        name,
        sum(file.stat().st_size for file in files),
        logits_difference(expected.logits, found),
        probabilities_difference(expected, found),
        median_milliseconds(compute, expected.batches[len(SECONDS) - 1]),
        accuracy,
    )


def median_milliseconds(compute: LogitsFunction, batch: Batch) -> float:
    """Return the median time of a forward pass, after one to warm up."""
    seconds = []
    for _ in range(1 + RUNS):
        started = time.perf_counter()
        compute([batch])
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds[1:])
