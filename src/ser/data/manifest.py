"""The manifest: a CSV with one row for each recording, the contract between `prepare-data` and everything else."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from ser.corpora.recordings import Recording
from ser.data.arrow_cache import Facts, UnusableCacheError
from ser.errors import UserError
from ser.files import write_csv

FILE = "manifest.csv"


@dataclass(frozen=True)
class Utterance(Recording):
    """A row of the manifest: a recording and the facts of its file."""

    duration: float = 0.0
    """Seconds."""
    sample_rate: int = 0
    """Hertz, of the file."""
    channels: int = 0
    """Of the file."""
    sha256: str = ""
    """Of the decoded samples."""

    @property
    def key(self) -> tuple[str, str]:
        """Speaker and name: the recording, wherever and in whatever container it is stored."""
        return self.speaker, self.name


OLDEST = (
    *("path", "emotion", "speaker", "gender", "intensity", "statement", "repetition"),
    *("duration", "sample_rate", "channels", "sha256"),
)
"""The columns of every manifest; the others are there where a recording has something in them."""
COLUMNS = [*OLDEST, *(field.name for field in fields(Utterance) if field.name not in OLDEST)]
NUMBERS = {"duration": float, "sample_rate": int, "channels": int}
"""Columns that are no texts."""


def make_utterance(recording: Recording, facts: Facts) -> Utterance:
    return Utterance(
        **vars(recording),
        duration=round(facts["duration"], 6),
        sample_rate=facts["sample_rate"],
        channels=facts["channels"],
        sha256=facts["sha256"],
    )


def used_columns(utterances: Sequence[Utterance]) -> list[str]:
    """Return the columns that a manifest needs."""
    return [name for name in COLUMNS if name in OLDEST or any(getattr(row, name) for row in utterances)]


def rows_of(utterances: Sequence[Utterance]) -> Iterator[tuple[Any, ...]]:
    columns = used_columns(utterances)
    return (tuple(getattr(row, name) for name in columns) for row in utterances)


def write(path: Path, utterances: Sequence[Utterance]) -> None:
    write_csv(path, used_columns(utterances), rows_of(utterances))


def checksum(utterances: Sequence[Utterance]) -> str:
    """Sha256 of the rows of a manifest, written and read or not."""
    return hashlib.sha256("\n".join(map(repr, rows_of(utterances))).encode("utf-8")).hexdigest()


def read(path: Path) -> list[Utterance]:
    """Read a manifest or a split file.

    Raises:
        UserError: there is no such file, it lacks a column, or a row is damaged.
    """
    if not path.is_file():
        raise UserError(
            f"{path.parent}: no {path.name} here; run `ser prepare-data --root DIR` first, or give root=DIR"
        )
    damaged = f"{path}: it is damaged; prepare the data again"
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise UnusableCacheError(damaged) from error
    if missing := [name for name in OLDEST if name not in rows.columns]:
        raise UserError(f"{path}: the column{'s' * (len(missing) > 1)} {', '.join(missing)} missing")
    try:
        numbers = rows.astype(NUMBERS)
    except ValueError as error:
        raise UnusableCacheError(damaged) from error
    return [Utterance(**row) for row in numbers[[name for name in COLUMNS if name in rows.columns]].to_dict("records")]


def natural_key(speaker: str) -> str:
    """Sort key that puts speaker 2 before speaker 10."""
    return speaker.zfill(8) if speaker.isdigit() else speaker
