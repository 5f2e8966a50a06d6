"""The wrong answers that a model was surest of: where to listen first."""

from dataclasses import dataclass

from ser.data.audio import Int16
from ser.data.manifest import Utterance
from ser.evaluation.scored import Scored


@dataclass(frozen=True)
class Mistake:
    """A wrong answer, and what the model heard."""

    utterance: Utterance
    prediction: str
    probability: float
    """Of the prediction."""
    samples: Int16
    """Mono, 16 kHz."""


def most_confident(scored: Scored, count: int = 8) -> list[int]:
    """Places in `scored` of the wrong answers, the surest first; a clip that several models answered stands there once.

    Args:
        scored: the answers.
        count: how many at most.
    """
    confidence = scored.probabilities.max(axis=-1)
    answers = zip(scored.utterances, scored.prediction, strict=True)
    wrong = [place for place, (utterance, prediction) in enumerate(answers) if utterance.emotion != prediction]
    surest: dict[str, int] = {}
    for place in sorted(wrong, key=lambda place: -confidence[place]):
        surest.setdefault(scored.utterances[place].path, place)
    return list(surest.values())[:count]
