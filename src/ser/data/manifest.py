"""The manifest: a CSV with one row for each recording, the contract between `prepare-data` and everything else."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ser.columns import to_list
from ser.corpora.recordings import Recording
from ser.data.arrow_cache import Clips, UnusableCacheError
from ser.errors import UserError
from ser.files import replacing, write_csv
from ser.rows import AT_ONCE, Rows

FILE = "manifest.csv"
COLUMNS_FILE = "manifest.arrow"
"""The same rows as columns that are mapped; a folder without it, or with another `manifest.csv`, is read by rows."""


@dataclass(frozen=True)
class Utterance(Recording):
    """A row of the manifest: a recording and the facts of its file."""

    duration: float = 0.0
    """Seconds."""
    sample_rate: int = 0
    """Hertz, of the file."""
    channels: int = 0
    """Of the file."""
    sha256: str = field(default="", metadata={"distinct": True})
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


def make_utterances(recordings: Rows[Recording], clips: Clips) -> Rows[Utterance]:
    """Join recordings with the facts of their files, which are in the same order."""
    facts = clips.select("duration", "sample_rate", "channels", "sha256")
    columns = {name: facts.column(name) for name in ("sample_rate", "channels", "sha256")}
    # Python rounds 4.2375625 to 4.237563 and NumPy to 4.237562; the hashes of splits hold what Python gives.
    seconds = np.fromiter((round(float(one), 6) for one in facts.column("duration").to_numpy()), float, len(facts))
    return recordings.cast(Utterance).replace(**columns, duration=pa.array(seconds))


def names_of(utterances: Rows[Utterance]) -> pa.Array:
    """Return `Utterance.name` of each recording, `(recordings,)`."""
    if utterances.has("id") and not pc.any(pc.equal(utterances.texts("id"), "")).as_py():
        return utterances.texts("id")
    parts = [pa.array([], pa.large_string())]
    for start in range(0, len(utterances), AT_ONCE):
        some = utterances[start : start + AT_ONCE]
        file = pc.replace_substring_regex(some.texts("path"), pattern="(?s)^.*/", replacement="")
        stem = pc.replace_substring_regex(file, pattern=r"(?s)^(.+)\.[^.]+$", replacement=r"\1")
        given = some.texts("id")
        parts.append(pc.if_else(pc.equal(given, ""), stem, given))
    return pa.concat_arrays(parts)


def rank_speakers(utterances: Rows[Utterance]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the place of the speaker of each recording among all speakers in natural order, `(recordings,)`."""
    return utterances.codes("speaker", natural_key)[0]


def used_columns(utterances: Rows[Utterance]) -> list[str]:
    """Return the columns that a manifest needs."""
    return [name for name in COLUMNS if name in OLDEST or is_used(utterances, name)]


def is_used(utterances: Rows[Utterance], name: str) -> bool:
    """Return whether a recording has something in a field of text."""
    return utterances.has(name) and bool(pc.any(pc.not_equal(utterances.texts(name), "")).as_py())


def rows_of(utterances: Rows[Utterance]) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of each row."""
    columns = used_columns(utterances)
    for start in range(0, len(utterances), AT_ONCE):
        some = utterances[start : start + AT_ONCE]
        yield from zip(*(to_list(some.column(name)) for name in columns), strict=True)


def write(path: Path, utterances: Sequence[Utterance]) -> None:
    rows = Rows.of(Utterance, utterances)
    write_csv(path, used_columns(rows), rows_of(rows))


def write_columns(path: Path, utterances: Rows[Utterance]) -> None:
    """Write the rows as columns, for `map_columns`."""
    table = pa.table({name: utterances.column(name) for name in COLUMNS if name in OLDEST or utterances.has(name)})
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=len(table))  # one part, which is mapped as it is


def map_columns(path: Path) -> Rows[Utterance]:
    """Map what `write_columns` wrote; nothing of it is in memory before it is used."""
    with pa.memory_map(str(path)) as source:
        [batch] = pa.ipc.open_file(source).read_all().to_batches()
    return Rows(Utterance, dict(zip(batch.schema.names, batch.columns, strict=True)))


def checksum(utterances: Sequence[Utterance]) -> str:
    """Sha256 of the rows of a manifest, written and read or not."""
    digest, separator = hashlib.sha256(), b""
    for row in rows_of(Rows.of(Utterance, utterances)):
        digest.update(separator + repr(row).encode("utf-8"))
        separator = b"\n"
    return digest.hexdigest()


def read(path: Path) -> Rows[Utterance]:
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
        with pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", chunksize=AT_ONCE) as chunks:
            parts = [read_rows(path, rows) for rows in chunks]
    except UserError:
        raise
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        raise UnusableCacheError(damaged) from error
    return Rows.join(Utterance, parts) if parts else read_rows(path, pd.read_csv(path, dtype=str))


def read_rows(path: Path, rows: pd.DataFrame) -> Rows[Utterance]:
    """Return some rows of a manifest.

    Raises:
        UserError: a column is missing.
        ValueError: a cell is no number.
    """
    if missing := [name for name in OLDEST if name not in rows.columns]:
        raise UserError(f"{path}: the column{'s' * (len(missing) > 1)} {', '.join(missing)} missing")
    columns = rows[[name for name in COLUMNS if name in rows.columns]].astype(NUMBERS)
    return Rows(Utterance, {}).replace(**{name: pa.array(columns[name]) for name in columns})


def natural_key(speaker: str) -> str:
    """Sort key that puts speaker 2 before speaker 10."""
    return speaker.zfill(8) if speaker.isdigit() else speaker
