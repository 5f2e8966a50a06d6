"""Report files of a scored list: predictions, classification report, confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import classification_report

from ser.data.manifest import Utterance
from ser.files import write_csv, write_json, write_text
from ser.results import figures, metrics


@dataclass(frozen=True)
class Scored:
    """Clips with the probabilities that a checkpoint gives them."""

    utterances: Sequence[Utterance]
    emotions: Sequence[str]
    probabilities: npt.NDArray[np.float64]
    """`(clips, emotions)`."""

    @property
    def truth(self) -> list[str]:
        return [utterance.emotion for utterance in self.utterances]

    @property
    def prediction(self) -> list[str]:
        return [self.emotions[index] for index in self.probabilities.argmax(axis=-1)]


@dataclass(frozen=True)
class Provenance:
    """Where a number comes from; it stands beside each."""

    corpus: str
    description: str
    synthetic: bool
    protocol: dict[str, Any]
    """`ser.data.protocols.identity`."""
    scored_on: str
    in_words: str
    model: str
    seed: int
    step: int

    @property
    def run_title(self) -> str:
        """The run in one line."""
        fold = f" fold {self.protocol['fold']}" if self.protocol["fold"] is not None else ""
        corpus = f"{self.corpus.upper()} (no human speech)" if self.synthetic else self.corpus
        return f"{self.model} on {corpus}, protocol {self.protocol['name']}{fold}, seed {self.seed}"

    @property
    def title(self) -> str:
        """The number in one line."""
        return f"{self.run_title}, step {self.step}, {self.scored_on} list"


def write(folder: Path, scored: Scored, provenance: Provenance) -> dict[str, float]:
    """Write the report files into `folder`.

    Returns:
        The summary metrics of the list.
    """
    truth, prediction, emotions = scored.truth, scored.prediction, list(scored.emotions)
    numbers = metrics.summary(truth, prediction, emotions)
    counts = metrics.confusion_matrix(truth, prediction, emotions)
    write_predictions(folder / "predictions.csv", scored)
    write_csv(
        folder / "confusion_matrix.csv",
        [f"truth \\ prediction ({provenance.title})", *emotions],
        ([emotion, *row] for emotion, row in zip(emotions, counts, strict=True)),
    )
    figures.save(figures.confusion_figure(counts, emotions, provenance.title), folder / "confusion_matrix.png")
    write_text(folder / "classification_report.txt", report_text(scored, provenance, numbers))
    per_emotion = classification_report(truth, prediction, labels=emotions, zero_division=0, output_dict=True)
    write_json(
        folder / "classification_report.json",
        {**vars(provenance), "clips": len(truth), **numbers, "classification_report": per_emotion},
    )
    return numbers


def report_text(scored: Scored, provenance: Provenance, numbers: dict[str, float]) -> str:
    """The paper's report, and under it what the numbers are worth."""
    table = classification_report(scored.truth, scored.prediction, labels=list(scored.emotions), zero_division=0)
    return "\n".join(
        [
            table,
            f"unweighted average recall {numbers['unweighted_average_recall']:.3f}, accuracy {numbers['accuracy']:.3f}",
            "",
            provenance.title,
            provenance.description,
            provenance.in_words,
            "",
        ]
    )


def write_predictions(path: Path, scored: Scored) -> None:
    """A row for each clip, sorted by path, with one probability column for each emotion."""
    columns = zip(scored.utterances, scored.prediction, scored.probabilities, strict=True)
    rows = [
        [utterance.path, utterance.emotion, prediction, *(f"{share:.6f}" for share in shares)]
        for utterance, prediction, shares in sorted(columns, key=lambda row: row[0].path)
    ]
    write_csv(path, ["path", "truth", "prediction", *scored.emotions], rows)
