"""The recordings of `audio=`: one file, a folder, a pattern, or the rows of a CSV."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ser.corpora.recordings import AUDIO_SUFFIXES, OTHER_SUFFIXES, files_below
from ser.errors import UserError
from ser.files import printable
from ser.tables import read_column

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


def resolve(audio: str, root: str | None) -> list[Recording]:
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
        found = [Recording(name, Path(name), find_problem(Path(name))) for name in match_pattern(place)]
        wanted = "no such file or folder, and no file matches it as a pattern"
    if not found:
        raise UserError(f"audio={audio}: {wanted}")
    return found


def find_below(folder: Path) -> list[Recording]:
    """Find the recordings below a folder; other audio files are logged, and unreadable folders become failures.

    Raises:
        UserError: The folder itself cannot be read, or it contains only audio that libsndfile does not decode.
    """
    unreadable: dict[str, str] = {}
    names = files_below(folder, unreadable.__setitem__)
    if "." in unreadable:
        raise UserError(f"audio={folder}: the folder cannot be read ({unreadable['.']})")
    own = [name for name in names if not is_of_macos(name)]
    log_skipped("side files of macOS, which hold no audio", [name for name in names if is_of_macos(name)])
    others = [name for name in own if PurePosixPath(name).suffix.lower() in OTHER_SUFFIXES]
    found = [
        Recording(name, folder / name, find_problem(folder / name))
        for name in own
        if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES
    ]
    if others and not found:
        raise UserError(f"audio={folder}: {count_suffixes(others)}, which libsndfile does not decode; {CONVERT}")
    log_skipped(f"containers that libsndfile does not decode ({CONVERT})", others)
    closed = [Recording(name, folder / name, f"the folder cannot be read: {why}") for name, why in unreadable.items()]
    return sorted([*found, *closed], key=lambda one: one.name)


def is_of_macos(name: str) -> bool:
    """Return whether a file is a side file, which macOS writes for each file in archives and on foreign disks."""
    path = PurePosixPath(name)
    return path.name.startswith("._") or "__MACOSX" in path.parts


def log_skipped(what: str, names: Sequence[str]) -> None:
    """Log the files of a folder that are skipped."""
    if names:
        log.warning("skipped: %s: %s", what, count_suffixes(names))


def count_suffixes(names: Sequence[str]) -> str:
    """Count the files of each suffix, and name the first files.

    >>> count_suffixes(["a.m4a", "b.webm", "c.m4a", "d.m4a"])
    '3 .m4a, 1 .webm (a.m4a, b.webm, c.m4a ...)'
    """
    suffixes = Counter(PurePosixPath(name).suffix.lower() for name in names)
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


def read_list(place: Path, root: Path) -> list[Recording]:
    """Return a single file, or the recordings in the rows of a CSV.

    Raises:
        UserError: A CSV has no column `path`, or a row is empty or leads out of `root`.
    """
    if place.suffix.lower() != ".csv":
        return [Recording(place.name, place)]
    names = read_column(place, "path", f"audio={place}")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        log.warning("%s names %d recordings more than once, and each row is predicted", place, len(twice))
    return [Recording(name, path, find_problem(path)) for name in names for path in [resolve_row(root, name, place)]]


def resolve_row(root: Path, name: str, manifest: Path) -> Path:
    """Return the path of a row; a row that leads out of `root` is refused, because a CSV may come from a third party.

    Links below `root` belong to the user and are followed.
    """
    start = os.path.abspath(root)
    path = os.path.normpath(os.path.join(start, name))
    if not Path(path).is_relative_to(start) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UserError(f"audio={manifest}: the row {name!r} leads out of {root}; give root=DIR")
    return Path(path)
