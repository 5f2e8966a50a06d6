"""The answers by who spoke and how: per speaker, gender, intensity and statement."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ser.data.manifest import Utterance
from ser.data.protocols import natural
from ser.evaluation import metrics
from ser.files import write_csv

FIELDS = ("speaker", "gender", "intensity", "statement")


class Group(NamedTuple):
    """The clips that share a value of a field."""

    value: str
    clips: int
    accuracy: float
    unweighted_average_recall: float
    """Over the emotions that occur among these clips: RAVDESS, for one, has no strong neutral."""


def breakdown(utterances: Sequence[Utterance], prediction: Sequence[str]) -> dict[str, list[Group]]:
    """Accuracy and UAR for each value of each field that the corpus knows, in natural order."""
    tables = {}
    for field in FIELDS:
        values = sorted({getattr(row, field) for row in utterances} - {""}, key=natural)
        if values:
            tables[field] = [group(utterances, prediction, field, value) for value in values]
    return tables


def group(utterances: Sequence[Utterance], prediction: Sequence[str], field: str, value: str) -> Group:
    pairs = [
        (row.emotion, answer)
        for row, answer in zip(utterances, prediction, strict=True)
        if getattr(row, field) == value
    ]
    truth, answers = zip(*pairs, strict=True)
    labels = sorted(set(truth))
    return Group(
        value,
        len(pairs),
        metrics.accuracy(truth, answers, labels),
        metrics.unweighted_average_recall(truth, answers, labels),
    )


def write(path: Path, tables: dict[str, list[Group]], corpus: str, protocol: str) -> None:
    """Write one CSV with a row for each group of each field; every row says whose figures these are."""
    lines = ([corpus, protocol, field, *row] for field, rows in tables.items() for row in rows)
    write_csv(path, ["corpus", "protocol", "field", *Group._fields], lines)
