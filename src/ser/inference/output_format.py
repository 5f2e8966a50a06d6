"""Formats of predictions: CSV rows, JSON, and the server's response."""

from dataclasses import dataclass
from typing import Any

from ser.files import printable
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.predictor import Predictor

DIGITS = 6
"""Decimal places of a probability in a file."""


@dataclass(frozen=True)
class OutputFormat:
    """The columns or keys of a prediction: the emotions, and the checkpoints of an ensemble."""

    labels: list[str]
    checkpoints: list[str]

    @classmethod
    def from_predictor(cls, predictor: Predictor) -> "OutputFormat":
        return cls(predictor.labels, [printable(member.name) for member in predictor.members])

    @property
    def is_ensemble(self) -> bool:
        return len(self.checkpoints) > 1

    def as_dict(self, window: WindowPrediction) -> dict[str, Any]:
        """Return the content of a JSON line and of the server's response."""
        if window.prediction is None:
            return {"path": printable(window.name), "error": window.error}
        values = {
            "path": printable(window.name),
            "start": round(window.start, 3),
            "end": round(window.end, 3),
            "emotion": window.prediction.emotion,
            "probabilities": rounded(window.prediction),
        }
        if window.warning:
            values["warning"] = window.warning
        if self.is_ensemble:
            values["members"] = [
                {"checkpoint": name, "emotion": member.emotion, "probabilities": rounded(member)}
                for name, member in zip(self.checkpoints, window.prediction.members, strict=True)
            ]
        return values

    def header(self) -> list[str]:
        """Return the columns of the CSV; columns of a member start with the name of its checkpoint."""
        names = ["path", "start", "end", "emotion", *self.labels, "error", "warning"]
        if self.is_ensemble:
            for checkpoint in self.checkpoints:
                names += [f"{checkpoint}: {name}" for name in ("emotion", *self.labels)]
        return names

    def values(self, window: WindowPrediction) -> list[Any]:
        """Return the values of the columns, None where there is none."""
        name = printable(window.name)
        if window.prediction is None:
            cells: list[Any] = [name, None, None, None, *([None] * len(self.labels)), window.error, None]
            return cells + [None] * (len(self.header()) - len(cells))
        span = [round(window.start, 3), round(window.end, 3)]
        probabilities = rounded(window.prediction).values()
        cells = [name, *span, window.prediction.emotion, *probabilities, None, window.warning or None]
        if self.is_ensemble:
            for member in window.prediction.members:
                cells += [member.emotion, *rounded(member).values()]
        return cells

    def row(self, window: WindowPrediction) -> list[Any]:
        """Return the cells of a CSV row."""
        name, start, end, *others = self.values(window)
        return [name, *("" if number is None else f"{number:.3f}" for number in (start, end)), *others]


def rounded(prediction: Prediction) -> dict[str, float]:
    """Return the probabilities, rounded to `DIGITS`."""
    return {label: round(probability, DIGITS) for label, probability in prediction.probabilities.items()}
