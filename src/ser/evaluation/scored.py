"""The predictions of a split, which every metric is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ser.data.manifest import Utterance


@dataclass(frozen=True)
class Scored:
    """Clips with the probabilities that a checkpoint gives them; several models may have answered one clip."""

    utterances: Sequence[Utterance]
    emotions: Sequence[str]
    probabilities: npt.NDArray[np.float64]
    """`(clips, emotions)`."""
    origins: Sequence[tuple[int, int | None]] | None = None
    """Seed and fold of the run that gave each answer, where several runs are pooled."""

    @property
    def truth(self) -> list[str]:
        return [utterance.emotion for utterance in self.utterances]

    @property
    def prediction(self) -> list[str]:
        return [self.emotions[index] for index in self.probabilities.argmax(axis=-1)]
