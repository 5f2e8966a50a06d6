"""The clips of an epoch where every emotion is to be heard equally often."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


def balanced_draw(labels: Sequence[int], seed: int, epoch: int) -> list[int]:
    """Draw as many clips as there are, with replacement, every emotion that occurs equally likely.

    A clip has the probability `1 / (C n_c)`: `C` emotions occur, its own `n_c` times.

    Args:
        labels: `(clips,)` class indices.
        seed: that of the run.
        epoch: from 0. Both seed the draw, so that no epoch of one run is an epoch of another.

    Returns:
        `(clips,)` indices into `labels`.
    """
    _, emotion, counts = np.unique(labels, return_inverse=True, return_counts=True)
    probability = 1 / (len(counts) * counts[emotion])
    drawn: list[int] = np.random.default_rng((seed, epoch)).choice(len(labels), len(labels), p=probability).tolist()
    return drawn


class BalancedSampler(Sampler[int]):
    """A balanced draw for each epoch.

    The epoch is asked for at its beginning rather than counted here or set from outside: a resumed run begins with a
    later one, and accelerate's `set_epoch` does not reach a sampler behind the batches that such a run skips where
    there are several processes.
    """

    def __init__(self, labels: Sequence[int], seed: int, epoch: Callable[[], int]) -> None:
        self.labels, self.seed, self.epoch = labels, seed, epoch

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[int]:
        return iter(balanced_draw(self.labels, self.seed, self.epoch()))
