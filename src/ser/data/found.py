"""The recordings that a user names: one file, a folder, a pattern, or the rows of a manifest."""

import csv
import glob
import os
from dataclasses import dataclass
from pathlib import Path

from ser.corpora.recordings import AUDIO_SUFFIXES, files_below
from ser.errors import UserError


@dataclass(frozen=True)
class Found:
    """A recording, and what it is called in the answers."""

    name: str
    path: Path


def find(audio: str, root: str | None) -> list[Found]:
    """List the recordings that `audio=` stands for, in order of their names or of the manifest's rows.

    Args:
        audio: a file, a folder (searched to its depths for audio suffixes), a pattern (`*`, `?`, `**`), or a CSV with a
            column `path`.
        root: the folder that the paths of a CSV start from; null: the CSV's own.

    Raises:
        UserError: there is nothing there.
    """
    place = Path(audio).expanduser()
    if place.is_dir():
        names = [name for name in files_below(place) if Path(name).suffix.lower() in AUDIO_SUFFIXES]
        found = [Found(name, place / name) for name in names]
        wanted = f"no recording below it ({', '.join(sorted(AUDIO_SUFFIXES))})"
    elif place.is_file():
        found = rows_of(place, Path(root).expanduser() if root else place.parent)
        wanted = "the manifest has no rows"
    else:
        matches = glob.glob(os.fspath(place), recursive=True)
        found = [Found(name, Path(name)) for name in sorted(matches) if Path(name).is_file()]
        wanted = "no such file or folder, and no file matches it as a pattern"
    if not found:
        raise UserError(f"audio={audio}: {wanted}")
    return found


def rows_of(place: Path, root: Path) -> list[Found]:
    """One file, or the recordings that a CSV names; one that lies outside of `root` is missing from it as well.

    Raises:
        UserError: a CSV without the column `path`, or a row that leads out of `root`.
    """
    if place.suffix.lower() != ".csv":
        return [Found(place.name, place)]
    try:
        with place.open(newline="", encoding="utf-8-sig") as file:
            names = [row["path"] for row in csv.DictReader(file)]
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"audio={place}: it is no CSV in UTF-8 with a column 'path'") from error
    return [Found(name, within(root, name, place)) for name in names]


def within(root: Path, name: str, manifest: Path) -> Path:
    """The path of a row. A manifest may come from anybody: it does not lead to files outside of `root`."""
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(f"audio={manifest}: the row {name!r} leads out of {root}; give root=DIR")
    return path


def printable(name: str) -> str:
    r"""A file's name as it can be shown and written: control characters and bytes that are no text are escaped.

    >>> print(printable("a\nb"))
    a\nb
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)
