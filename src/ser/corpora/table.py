"""Recordings of a user, described by a table: CSV, TSV or Parquet.

The columns `path` and `emotion` are needed; `speaker`, `gender`, `language`, `session`, `split`, `start` and `end`
(seconds, for a part of a longer file), `intensity`, `statement` and `repetition` have a meaning; others are kept.
"""

import json
import math
import os
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from ser.config.corpus import Corpus
from ser.config.enums import BadRows
from ser.corpora.facts import Facts
from ser.corpora.recordings import (
    AUDIO_SUFFIXES,
    OTHER_SUFFIXES,
    Recording,
    Scan,
    add_fragment,
    files_below,
    is_hidden,
    show,
)
from ser.errors import UserError, suggest
from ser.rows import Builder, Rows
from ser.tables import read_parts, shorten
from ser.wording import counted

FACTS = Facts("recordings described by a table of the user")
NEEDED = ("path", "emotion")
OPTIONAL = ("speaker", "gender", "language", "session", "split", "intensity", "statement", "repetition")
TIMES = ("start", "end")
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "evaluation", "eval"), "test"),
}
"""Usual names of splits."""
ABSENT = "files that are not there"
UNKNOWN = ("", "unknown", "n/a", "na", "none", "nan", "?")
"""Texts that stand for a speaker that is not known."""


def make_root(corpus: Corpus, target: Path) -> Path:
    """Return the folder of the table, to which its paths are relative where no root is given."""
    return Path(corpus.table or "").expanduser().resolve().parent


def scan(root: Path, corpus: Corpus) -> Scan:
    """List the recordings of a table.

    Raises:
        UserError: the table cannot be read; or rows have no file, no label, or contradict one another, and
            `corpus.bad_rows` is `refuse`. All rows with the same mistake are named at once.
    """
    called = f"corpus.table={corpus.table}"
    path = Path(corpus.table or "").expanduser()
    if not path.is_file():
        raise UserError(f"{called}: there is no such file")
    found, mistakes = Scan(), defaultdict[str, list[str]](list)
    recordings, lines, absent = Builder(Recording), array("q"), list[str]()
    bases = (root, root.resolve())
    for line, row in read_rows(path, corpus.columns, called):
        recording = read_row(bases, row, line, mistakes, absent)
        if recording is not None:
            recordings.append(recording)
            lines.append(line)
    ordered, order = recordings.finish_sorted("path")
    found.recordings = leave_out_repeated(ordered, np.array(lines, np.int64)[order], found, mistakes)
    # One of several mistakes, or of some files only, would not be mended by another root.
    lower = find_lower_root(root, absent) if mistakes.keys() == {ABSENT} and not len(ordered) else None
    report_mistakes(mistakes, corpus, called, found, lower)
    leave_out_unnamed(root, found.recordings, found)
    return found


def leave_out_repeated(
    ordered: Rows[Recording], lines: npt.NDArray[np.int64], found: Scan, mistakes: dict[str, list[str]]
) -> Rows[Recording]:
    """Return the first recording of each path; the others are counted.

    Args:
        ordered: the recordings of the rows of the table, in the order of their paths.
        lines: `(recordings,)` their lines.
        found: takes the rows that repeat another.
        mistakes: takes the rows that contradict another.
    """
    paths = ordered.texts("path")
    repeats = np.zeros(len(ordered), dtype=bool)
    repeats[1:] = pc.equal(paths[1:], paths[:-1]).to_numpy(zero_copy_only=False)
    first = 0
    for place in np.flatnonzero(repeats).tolist():
        first = place - 1 if not repeats[place - 1] else first
        earlier, recording = ordered[first], ordered[place]
        if earlier == recording:
            found.leave_out("rows that repeat another", f"{show(recording.path)} (line {lines[place]})")
        else:
            mistakes["rows that contradict an earlier one"].append(
                f"line {lines[place]} ({show(recording.path)}, {recording.emotion}; line {lines[first]} differs)"
            )
    return ordered.where(~repeats)


def leave_out_unnamed(root: Path, recordings: Rows[Recording], found: Scan) -> None:
    """Count the audio files below a root that no recording has."""
    named = np.unique(hash_texts(recording.file for recording in recordings))
    files = files_below(root)
    at = np.flatnonzero(~np.isin(hash_texts(files), named))
    for file in (files[place] for place in at.tolist()):
        if PurePosixPath(file).suffix.lower() in AUDIO_SUFFIXES:
            hidden = is_hidden(PurePosixPath(file))
            found.leave_out("hidden files" if hidden else "audio files that the table does not name", show(file))


def hash_texts(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return a number of 64 bits for each text: a million of them take 8 MB, and two are equal with 3e-8."""
    return np.fromiter(map(hash, texts), np.int64)


def read_rows(path: Path, columns: Mapping[str, str], called: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the cells of each row, under the names of `ser`.

    Raises:
        UserError: `columns` names something unknown, or a column is not there.
    """
    known = (*NEEDED, *OPTIONAL, *TIMES)
    for name in columns:
        if name not in known:
            raise UserError(
                f"corpus.columns.{name}: there is no such column{suggest(name, known)}; choices: {', '.join(known)}"
            )
    given = {name: column.strip().lower() for name, column in columns.items()}
    needed = [given.get(name, name) for name in NEEDED]
    others = [column for column in given.values() if column not in needed]
    renamed = {column: name for name, column in given.items()}
    try:
        for rows in read_parts(path, [*needed, *others], called):
            names = [renamed.get(column, "" if column in given else column) for column in rows.columns]
            for line, cells in zip(rows.index.tolist(), rows.itertuples(index=False, name=None), strict=True):
                yield line, dict(zip(names, cells, strict=True))
    except UserError as error:
        hint = "; name your columns with corpus.columns={path: COLUMN, emotion: COLUMN}"
        raise UserError(f"{error}{hint if 'must name' in str(error) or 'must have' in str(error) else ''}") from error


def read_row(
    bases: Sequence[Path], row: Mapping[str, str], line: int, mistakes: dict[str, list[str]], absent: list[str]
) -> Recording | None:
    """Return the recording of a row; None where it has a mistake, which is added to `mistakes`.

    The path of a file that is not there is added to `absent` too.
    """
    path = find_path(bases, row["path"])
    label = row["emotion"].strip()
    if not row["path"].strip() or "\0" in row["path"]:
        mistakes["rows without a path"].append(f"line {line}")
    elif not os.path.isfile(os.path.join(bases[0], path)):
        absent.append(path)
        mistakes[ABSENT].append(f"{show(path)} (line {line})")
    elif PurePosixPath(path).suffix.lower() in OTHER_SUFFIXES:
        mistakes["files of a kind that is not read (`ffmpeg -i IN.m4a OUT.wav` converts one)"].append(
            f"{show(path)} (line {line})"
        )
    elif not label:
        mistakes["rows without a label"].append(f"line {line} ({show(path)})")
    elif (span := read_times(row)) is None:
        mistakes["rows whose start and end are no times"].append(
            f"line {line} (start '{row.get('start', '')}', end '{row.get('end', '')}')"
        )
    else:
        return make_recording(path, label, span, row)
    return None


def make_recording(path: str, label: str, span: tuple[float, float | None], row: Mapping[str, str]) -> Recording:
    """Return the recording of a row without mistakes."""
    whole = add_fragment(path, *span) if span != (0.0, None) else path
    known = {name: row[name].strip() for name in OPTIONAL if name in row}
    if known.get("speaker", "").lower() in UNKNOWN:
        known["speaker"] = ""
    if "split" in known:
        known["split"] = SPLITS.get(known["split"].lower(), known["split"].lower())
    names = (*NEEDED, *OPTIONAL, *TIMES, "")
    extra = {name: cell.strip() for name, cell in row.items() if name not in names and cell.strip()}
    identity = str(PurePosixPath(path).with_suffix("")) + whole.removeprefix(path)
    return Recording(
        path=whole,
        emotion=label,
        id=identity,
        extra=json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else "",
        **{"speaker": "", **known},
    )


def find_path(bases: Sequence[Path], text: str) -> str:
    r"""Return a path as a manifest holds it: relative to the root, of which `bases` are the names, if it lies below it.

    >>> find_path([Path("/data")], r"Path\with\backslashes.wav"), find_path([Path("/data")], "/data/./a.wav")
    ('Path/with/backslashes.wav', 'a.wav')
    """
    written = text.strip()
    if "\0" in written:
        return ""
    if "\\" in written and not (bases[0] / written).exists():
        written = written.replace("\\", "/")
    place = PurePosixPath(written)
    for base in bases if place.is_absolute() else ():
        if place.is_relative_to(base.as_posix()):
            return place.relative_to(base.as_posix()).as_posix()
    return place.as_posix()


def read_times(row: Mapping[str, str]) -> tuple[float, float | None] | None:
    """Return the start and the end of a part of a file in seconds; None where they are no times."""
    start, end = (row.get(name, "").strip().replace(",", ".") for name in TIMES)
    if not all(re.fullmatch(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)?", text) for text in (start, end)):
        return None
    begin, stop = float(start or 0), float(end) if end else math.inf
    return (begin, None if stop == math.inf else stop) if begin < stop else None


def find_lower_root(root: Path, absent: Sequence[str]) -> Path | None:
    """Return a folder in the root below which all these files lie; None without one."""
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    return next((folder for folder in folders if all(map(os.path.isfile, map(folder.joinpath, absent)))), None)


def report_mistakes(
    mistakes: Mapping[str, list[str]], corpus: Corpus, called: str, found: Scan, lower: Path | None
) -> None:
    """Raise a UserError for the mistakes of a table, or count their rows as left out where the config says so.

    Where all files of the table lie below the folder `lower` of the root, it is named instead of other advice.
    """
    if corpus.bad_rows is BadRows.leave_out:
        for kind, places in mistakes.items():
            for place in places:
                found.leave_out(kind, place)
        return
    if mistakes:
        kinds = "; ".join(
            f"{counted(len(all_), kind)}: {', '.join(shorten(all_, 10))}" for kind, all_ in mistakes.items()
        )
        advice = "Correct the table, or give corpus.bad_rows=leave_out to leave them out"
        if lower is not None:
            advice = f"All of them are below {show(str(lower))}: give --root {show(str(lower))}"
        raise UserError(f"{called}: {kinds}. {advice}")
