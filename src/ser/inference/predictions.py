"""What a predictor returns: the prediction for a clip, and where in a recording the clip lies."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ser.models.embeddings import Embedding

Probabilities = npt.NDArray[np.float64]
"""`(emotions,)` of a clip or `(clips, emotions)`."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for a clip."""

    emotion: str
    """The most probable label."""
    probabilities: dict[str, float]
    """Of every label; they sum to 1 unless the checkpoint has a sigmoid for each label. Of checkpoints that vote, the
    shares of the votes."""
    members: Sequence["Prediction"] = ()
    """Of each checkpoint, where several predict together."""
    embedding: Embedding | None = field(default=None, repr=False, compare=False)
    """`(width,)`, where the predictor embeds."""

    @classmethod
    def from_array(
        cls,
        labels: Sequence[str],
        probabilities: Probabilities,
        best: int | None = None,
        members: Sequence["Prediction"] = (),
        embedding: Embedding | None = None,
    ) -> "Prediction":
        """Name probabilities by their labels.

        Args:
            labels: The emotions in the order of the array.
            probabilities: `(emotions,)`.
            best: The index of the predicted emotion; None: that of the greatest probability.
            members: The predictions of each checkpoint, where there are several.
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
    """Of the recording."""
    start: float = 0.0
    """Seconds."""
    end: float = 0.0
    """Seconds."""
    prediction: Prediction | None = None
    error: str = ""
    warning: str = ""
    """Why the prediction is unreliable, such as clipping."""


def average(predictions: Sequence[Prediction]) -> Prediction:
    """Return the mean over the windows of a recording, of the ensemble and of each checkpoint in it.

    >>> average([Prediction("a", {"a": 1.0, "b": 0.0}), Prediction("b", {"a": 0.5, "b": 0.5})])
    Prediction(emotion='a', probabilities={'a': 0.75, 'b': 0.25}, members=())
    """
    mean = np.mean([prediction.as_array() for prediction in predictions], axis=0)
    members = [average(each) for each in zip(*(prediction.members for prediction in predictions), strict=True)]
    return Prediction.from_array(list(predictions[0].probabilities), mean, members=tuple(members))
