"""The predictions of a split, from which every metric is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ser.data.manifest import Utterance
from ser.evaluation.metrics import accuracy, confusion_matrix


@dataclass(frozen=True)
class SplitPredictions:
    """Clips with their predicted probabilities; a clip occurs once for each model that was scored on it."""

    utterances: Sequence[Utterance]
    emotions: Sequence[str]
    probabilities: npt.NDArray[np.float64]
    """`(clips, emotions)`."""
    origins: Sequence[tuple[int, int | None]] | None = None
    """Seed and fold of the run behind each prediction, where several runs are pooled."""

    @property
    def truth(self) -> list[str]:
        return [utterance.emotion for utterance in self.utterances]

    @property
    def labels(self) -> list[str]:
        """The predicted emotion of each clip."""
        return [self.emotions[index] for index in self.probabilities.argmax(axis=-1)]

    @property
    def accuracy(self) -> float:
        return float(accuracy(confusion_matrix(self.truth, self.labels, self.emotions)))
