"""What stands beside each form of a model: its size, its distance from the checkpoint, its speed, its accuracy."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ser.export import parity
from ser.export.parity import Expected
from ser.models.forward import Batch, LogitsFunction

RUNS = 10


@dataclass(frozen=True)
class Measured:
    """One form of a model."""

    name: str
    bytes: int
    logits_difference: float
    """From the checkpoint's, the largest on the clips of `parity`."""
    probabilities_difference: float
    milliseconds: float
    """For one clip of 3.7 s."""
    accuracy: float | None
    """On the test list; None where that was not scored."""


def measured(
    name: str, files: Sequence[Path], answer: LogitsFunction, expected: Expected, accuracy: float | None
) -> Measured:
    found = answer(expected.batches)
    return Measured(
        name,
        sum(file.stat().st_size for file in files),
        parity.of_logits(expected.logits, found),
        parity.of_probabilities(expected, found),
        milliseconds(answer, expected.batches[len(parity.SECONDS) - 1]),
        accuracy,
    )


def milliseconds(answer: LogitsFunction, batch: Batch) -> float:
    """The median time of an answer, after one to warm up."""
    seconds = []
    for _ in range(1 + RUNS):
        started = time.perf_counter()
        answer([batch])
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds[1:])
