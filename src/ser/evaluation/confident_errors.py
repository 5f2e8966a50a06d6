"""The wrong predictions with the highest probability: the first to listen to."""

from dataclasses import dataclass

from ser.data.audio_file import Int16
from ser.data.manifest import Utterance
from ser.evaluation.predictions import SplitPredictions


@dataclass(frozen=True)
class ConfidentError:
    """A wrong prediction and its recording."""

    utterance: Utterance
    prediction: str
    probability: float
    """Of the prediction."""
    samples: Int16
    """Mono, 16 kHz."""


def rank_errors_by_confidence(predictions: SplitPredictions, count: int = 8) -> list[int]:
    """Return the indices of wrong predictions, the most confident first, each clip once.

    Args:
        predictions: of a split.
        count: the largest number of errors.
    """
    confidence = predictions.probabilities.max(axis=-1)
    pairs = zip(predictions.truth, predictions.labels, strict=True)
    wrong = [index for index, (truth, label) in enumerate(pairs) if truth != label]
    most_confident: dict[str, int] = {}
    for index in sorted(wrong, key=lambda index: -confidence[index]):
        most_confident.setdefault(predictions.utterances[index].path, index)
    return list(most_confident.values())[:count]
