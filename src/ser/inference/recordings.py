"""The recordings of `audio=`: one file, a folder, a pattern, or the rows of a CSV."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import overload

from ser.corpora.recordings import AUDIO_SUFFIXES, OTHER_SUFFIXES, files_below
from ser.errors import UserError
from ser.files import printable
from ser.tables import read_column
from ser.wording import counted

log = logging.getLogger("ser")

CONVERT = "`ffmpeg -i IN.m4a OUT.wav` converts one"
NAMED = 3
"""Largest number of files that a log line names."""


@dataclass(frozen=True)
class Recording:
    """A recording and its name in the predictions."""

    name: str
    path: Path
    error: str = ""
    """Reason why it cannot be predicted, where it is known before the file is opened."""


@dataclass(frozen=True)
class Recordings(Sequence[Recording]):
    """Recordings by name, 100 bytes each; a `Recording` is made, and its file looked for, when it is needed."""

    names: list[str]
    root: Path | None = None
    """The folder that the names start from; None: the current one, with the names as they are."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Reasons why a name cannot be predicted, by name, where they are known already."""

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> Recording: ...

    @overload
    def __getitem__(self, place: slice) -> "Recordings": ...

    def __getitem__(self, place: int | slice) -> "Recording | Recordings":
        if isinstance(place, slice):
            return Recordings(self.names[place], self.root, self.problems)
        name = self.names[place]
        path = Path(name) if self.root is None else self.root / os.path.normpath(name)
        return Recording(name, path, self.problems.get(name) or find_problem(path))


def resolve(audio: str, root: str | None) -> Recordings:
    """Return the recordings of `audio=`, sorted by name, or in the order of the rows of a CSV.

    Args:
        audio: A file, a folder (searched recursively for audio suffixes), a pattern (`*`, `?`, `**`), or a CSV with a
            column `path`.
        root: The folder that the paths of a CSV start from; None: the folder of the CSV.

    Raises:
        UserError: There is no recording.
    """
    place = Path(audio)
    if place.is_dir():
        found, wanted = find_below(place), f"no recording below it ({', '.join(sorted(AUDIO_SUFFIXES))})"
    elif place.is_file():
        found, wanted = read_list(place, Path(root) if root else place.parent), "the list has no rows"
    elif place.exists():
        raise UserError(f"audio={audio}: a pipe, a socket or a device; `audio=- < {audio}` reads WAV or raw samples")
    else:
        found = Recordings(match_pattern(place))
        wanted = "no such file or folder, and no file matches it as a pattern"
    if not found:
        raise UserError(f"audio={audio}: {wanted}")
    return found


def find_below(folder: Path) -> Recordings:
    """Find the recordings below a folder; other audio files are logged, and unreadable folders become failures.

    Raises:
        UserError: The folder itself cannot be read, or it contains only audio that libsndfile does not decode.
    """
    unreadable: dict[str, str] = {}
    names = files_below(folder, unreadable.__setitem__)
    if "." in unreadable:
        raise UserError(f"audio={folder}: the folder cannot be read ({unreadable['.']})")
    log_skipped("side files of macOS, which hold no audio", [name for name in names if is_of_macos(name)])
    own = [name for name in names if not is_of_macos(name)]
    others = [name for name in own if suffix_of(name) in OTHER_SUFFIXES]
    found = [name for name in own if suffix_of(name) in AUDIO_SUFFIXES]
    if others and not found:
        raise UserError(f"audio={folder}: {count_suffixes(others)}, which libsndfile does not decode; {CONVERT}")
    log_skipped(f"containers that libsndfile does not decode ({CONVERT})", others)
    closed = {name: f"the folder cannot be read: {why}" for name, why in unreadable.items()}
    return Recordings(sorted([*found, *closed]), folder, closed)


def is_of_macos(name: str) -> bool:
    """Return whether a file is a side file, which macOS writes for each file in archives and on foreign disks."""
    return name.rpartition("/")[2].startswith("._") or ("__MACOSX" in name and "__MACOSX" in name.split("/"))


def suffix_of(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def log_skipped(what: str, names: Sequence[str]) -> None:
    """Log the files of a folder that are skipped."""
    if names:
        log.warning("skipped: %s: %s", what, count_suffixes(names))


def count_suffixes(names: Sequence[str]) -> str:
    """Count the files of each suffix, and name the first files.

    >>> count_suffixes(["a.m4a", "b.webm", "c.m4a", "d.m4a"])
    '3 .m4a, 1 .webm (a.m4a, b.webm, c.m4a ...)'
    """
    suffixes = Counter(map(suffix_of, names))
    numbers = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
    first = ", ".join(printable(name) for name in names[:NAMED])
    return f"{numbers} ({first}{' ...' if len(names) > NAMED else ''})"


def match_pattern(place: Path) -> list[str]:
    """Return the files that match a pattern, sorted."""
    return sorted(name for name in glob.glob(os.fspath(place), recursive=True) if not Path(name).is_dir())


def find_problem(path: Path) -> str:
    """Return the reason why a path cannot be a recording; empty where it can."""
    if path.is_file():
        return ""
    return (
        "it is no regular file" if path.exists() else "the link leads nowhere" if path.is_symlink() else "no such file"
    )


def read_list(place: Path, root: Path) -> Recordings:
    """Return a single file, or the recordings in the rows of a CSV.

    Raises:
        UserError: A CSV has no column `path`, or a row is empty or leads out of `root`.
    """
    if place.suffix.lower() != ".csv":
        return Recordings([place.name], place.parent)
    names = read_column(place, "path", f"audio={place}")
    if repeated := count_repeated(names):
        log.warning("%s names %s more than once, and each row is predicted", place, counted(repeated, "recordings"))
    start = os.path.abspath(root)
    for name in names:
        check_row(start, name, place)
    return Recordings(names, Path(start))


def count_repeated(names: Sequence[str]) -> int:
    """Count the names that are there more than once.

    >>> count_repeated(["a", "b", "a", "a"])
    1
    """
    return len({name for name, following in pairwise(sorted(names)) if name == following})


def check_row(root: str, name: str, manifest: Path) -> None:
    """Raise a UserError where a row leads out of `root`, because a CSV may come from a third party.

    Links below `root` belong to the user and are followed.
    """
    path = os.path.normpath(os.path.join(root, name))
    if not is_below(path, root) and not is_below(os.path.realpath(path), os.path.realpath(root)):
        raise UserError(f"audio={manifest}: the row {name!r} leads out of {root}; give root=DIR")


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
