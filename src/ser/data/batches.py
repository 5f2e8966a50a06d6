"""Batches of clips for inference: their sizes and their order. Nothing here needs PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ser.data.audio import SAMPLE_RATE, SHORTEST

Numbers = npt.NDArray[np.int64]

MINIMUM = int(SHORTEST * SAMPLE_RATE) * 3
"""Samples to which a batch is padded at least: one frame of the encoder with the longest receptive field (Moonshine's,
895 samples) and more than one of any other."""


def scoring_batches(lengths: Sequence[int] | Numbers, batch_size: int, equal_lengths: bool) -> list[list[int]]:
    """Batches of indices for scoring, from the shortest clips to the longest.

    Args:
        lengths: samples of each clip, `(clips,)`.
        batch_size: clips of a batch, at most.
        equal_lengths: put only clips of one length together, so that nothing is padded; for an encoder whose
            predictions depend on padding. (RAVDESS was cut at video frames:
            its 1440 clips have 77 lengths.)
    """
    samples = np.asarray(lengths)
    order = np.argsort(samples, kind="stable")
    changes: Any = np.flatnonzero(np.diff(samples[order])) + 1 if equal_lengths else []
    groups = [group.tolist() for group in np.split(order, changes)]
    return [group[start : start + batch_size] for group in groups for start in range(0, len(group), batch_size)]


def restore_order(values: npt.NDArray[Any], batches: Sequence[Sequence[int]]) -> npt.NDArray[Any]:
    """Return the rows of batches, one after the other, in the order of the clips."""
    ordered = np.empty_like(values)
    ordered[[index for batch in batches for index in batch]] = values
    return ordered
