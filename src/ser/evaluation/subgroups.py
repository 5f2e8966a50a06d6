"""Accuracy and UAR per speaker, gender, intensity, statement, corpus, language and further column of a table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ser.data.manifest import Utterance, natural_key
from ser.files import write_csv

FIELDS = ("speaker", "gender", "intensity", "statement", "corpus", "language")
MOST_VALUES = 30
"""A further column of a table with more values than these is no subgroup."""


class Subgroup(NamedTuple):
    """The clips that share a value of a field."""

    value: str
    clips: int
    accuracy: float
    unweighted_average_recall: float
    """Over the emotions that occur among these clips: RAVDESS, for one, has no strong neutral."""


def evaluate_subgroups(utterances: Sequence[Utterance], predicted: Sequence[str]) -> dict[str, list[Subgroup]]:
    """Compute accuracy and UAR for each value of each field that the corpus knows, in natural order."""
    clips = pd.DataFrame([vars(row) for row in utterances])
    clips["right"] = clips["emotion"] == list(predicted)
    extra = pd.DataFrame([json.loads(row.extra) if row.extra else {} for row in utterances], index=clips.index)
    few = [name for name in extra if name not in clips and 1 < extra[name].nunique() <= MOST_VALUES]
    clips[few] = extra[few].fillna("")
    fields = [field for field in (*FIELDS, *few) if (clips[field] != "").any()]
    return {field: subgroups_by(field, clips[clips[field] != ""]) for field in fields}


def subgroups_by(field: str, clips: pd.DataFrame) -> list[Subgroup]:
    """Return the subgroups of a field."""
    groups = {str(value): group for value, group in clips.groupby(field)}
    return [evaluate(value, groups[value]) for value in sorted(groups, key=natural_key)]


def evaluate(value: str, clips: pd.DataFrame) -> Subgroup:
    recalls = clips.groupby("emotion")["right"].mean().to_numpy()
    return Subgroup(value, len(clips), float(clips["right"].mean()), float(recalls.mean()))


def write(path: Path, subgroups: dict[str, list[Subgroup]], corpus: str, protocol: str) -> None:
    """Write one CSV with a row for each subgroup of each field; every row names corpus and protocol."""
    lines = ([corpus, protocol, field, *row] for field, rows in subgroups.items() for row in rows)
    write_csv(path, ["corpus", "protocol", "field", *Subgroup._fields], lines)
