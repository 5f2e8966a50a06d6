"""Results of a predictor: the prediction for a clip, and the position of the clip in a recording."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ser.models.arrays import Embedding, Probabilities


@dataclass(frozen=True)
class Prediction:
    """The prediction for a clip."""

    emotion: str
    """The most probable label."""
    probabilities: dict[str, float]
    """Probability of each label; they sum to 1 unless the checkpoint has a sigmoid for each label. With a vote of
    several checkpoints, the share of the votes."""
    members: Sequence["Prediction"] = ()
    """Predictions of the checkpoints of an ensemble; empty for a single checkpoint."""
    embedding: Embedding | None = field(default=None, repr=False, compare=False)
    """`(width,)`; None unless the predictor returns embeddings."""

    @classmethod
    def from_array(
        cls,
        labels: Sequence[str],
        probabilities: Probabilities,
        best: int | None = None,
        members: Sequence["Prediction"] = (),
        embedding: Embedding | None = None,
    ) -> "Prediction":
        """Create a prediction from an array of probabilities.

        Args:
            labels: The emotions in the order of the array.
            probabilities: `(emotions,)`.
            best: The index of the predicted emotion; None: the one with the highest probability.
            members: The predictions of the checkpoints of an ensemble.
            embedding: `(width,)`.
        """
        emotion = labels[int(probabilities.argmax() if best is None else best)]
        return cls(emotion, dict(zip(labels, map(float, probabilities), strict=True)), members, embedding)

    def as_array(self) -> Probabilities:
        """Return the probabilities `(emotions,)` in the order of the labels."""
        return np.fromiter(self.probabilities.values(), dtype=np.float64)


@dataclass(frozen=True)
class WindowPrediction:
    """The prediction for a recording or a window of it, or the reason why there is none."""

    name: str
    """Name of the recording."""
    start: float = 0.0
    """Seconds."""
    end: float = 0.0
    """Seconds."""
    prediction: Prediction | None = None
    error: str = ""
    warning: str = ""
    """Why the prediction is unreliable, such as clipping."""


def average(predictions: Sequence[Prediction]) -> Prediction:
    """Return the mean over the windows of a recording, for the ensemble and for each of its members.

    >>> average([Prediction("a", {"a": 1.0, "b": 0.0}), Prediction("b", {"a": 0.5, "b": 0.5})])
    Prediction(emotion='a', probabilities={'a': 0.75, 'b': 0.25}, members=())
    """
    mean = np.mean([prediction.as_array() for prediction in predictions], axis=0)
    members = [average(each) for each in zip(*(prediction.members for prediction in predictions), strict=True)]
    return Prediction.from_array(list(predictions[0].probabilities), mean, members=tuple(members))
