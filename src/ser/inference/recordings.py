"""The recordings that a user names: one file, a folder, a pattern, or the rows of a list."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ser.corpora.recordings import AUDIO_SUFFIXES, OTHER_SUFFIXES, files_below
from ser.data.lists import column
from ser.errors import UserError
from ser.files import printable

log = logging.getLogger("ser")

CONVERT = "`ffmpeg -i IN.m4a OUT.wav` converts one"
NAMED = 3
"""Files that a line names; of more it gives the number."""


@dataclass(frozen=True)
class Found:
    """A recording, and what it is called in the answers."""

    name: str
    path: Path
    error: str = ""
    """Why it has no answer, where that is known before it is opened."""


def find(audio: str, root: str | None) -> list[Found]:
    """List the recordings that `audio=` stands for, in order of their names or of the list's rows.

    Args:
        audio: a file, a folder (searched to its depths for audio suffixes), a pattern (`*`, `?`, `**`), or a CSV with a
            column `path`.
        root: the folder that the paths of a CSV start from; null: the CSV's own.

    Raises:
        UserError: there is nothing there.
    """
    place = Path(audio)
    if place.is_dir():
        found, wanted = below(place), f"no recording below it ({', '.join(sorted(AUDIO_SUFFIXES))})"
    elif place.is_file():
        found, wanted = rows_of(place, Path(root) if root else place.parent), "the list has no rows"
    elif place.exists():
        raise UserError(f"audio={audio}: a pipe, a socket or a device; `audio=- < {audio}` reads WAV or raw samples")
    else:
        found = [Found(name, Path(name), problem(Path(name))) for name in matching(place)]
        wanted = "no such file or folder, and no file matches it as a pattern"
    if not found:
        raise UserError(f"audio={audio}: {wanted}")
    return found


def below(folder: Path) -> list[Found]:
    """Find the recordings below a folder; what else sounds there is named in the log, and what cannot be read fails.

    Raises:
        UserError: the folder itself cannot be read, or it holds nothing but sound that libsndfile does not decode.
    """
    unreadable: dict[str, str] = {}
    names = files_below(folder, unreadable.__setitem__)
    if "." in unreadable:
        raise UserError(f"audio={folder}: the folder cannot be read ({unreadable['.']})")
    own = [name for name in names if not is_of_macos(name)]
    pass_over("side files of macOS, which hold no sound", [name for name in names if is_of_macos(name)])
    others = [name for name in own if PurePosixPath(name).suffix.lower() in OTHER_SUFFIXES]
    found = [
        Found(name, folder / name, problem(folder / name))
        for name in own
        if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES
    ]
    if others and not found:
        raise UserError(f"audio={folder}: {counted(others)}, which libsndfile does not decode; {CONVERT}")
    pass_over(f"containers that libsndfile does not decode ({CONVERT})", others)
    closed = [Found(name, folder / name, f"the folder cannot be read: {why}") for name, why in unreadable.items()]
    return sorted([*found, *closed], key=lambda one: one.name)


def is_of_macos(name: str) -> bool:
    """Whether a file is one that macOS puts beside each other in archives and on foreign disks."""
    path = PurePosixPath(name)
    return path.name.startswith("._") or "__MACOSX" in path.parts


def pass_over(what: str, names: Sequence[str]) -> None:
    """Say which files of a folder are not answered."""
    if names:
        log.warning("passed over: %s: %s", what, counted(names))


def counted(names: Sequence[str]) -> str:
    """Say how many files there are of each suffix, and the names of the first.

    >>> counted(["a.m4a", "b.webm", "c.m4a", "d.m4a"])
    '3 .m4a, 1 .webm (a.m4a, b.webm, c.m4a ...)'
    """
    suffixes = Counter(PurePosixPath(name).suffix.lower() for name in names)
    numbers = ", ".join(f"{count} {suffix}" for suffix, count in sorted(suffixes.items()))
    first = ", ".join(printable(name) for name in names[:NAMED])
    return f"{numbers} ({first}{' ...' if len(names) > NAMED else ''})"


def matching(place: Path) -> list[str]:
    """Sort the files that match a pattern."""
    return sorted(name for name in glob.glob(os.fspath(place), recursive=True) if not Path(name).is_dir())


def problem(path: Path) -> str:
    """Why a path cannot be a recording, or nothing."""
    if path.is_file():
        return ""
    return (
        "it is no regular file" if path.exists() else "the link leads nowhere" if path.is_symlink() else "no such file"
    )


def rows_of(place: Path, root: Path) -> list[Found]:
    """One file, or the recordings that a CSV names; one that lies outside of `root` is missing from it as well.

    Raises:
        UserError: a CSV without the column `path`, or a row that names nothing or leads out of `root`.
    """
    if place.suffix.lower() != ".csv":
        return [Found(place.name, place)]
    names = column(place, "path", f"audio={place}")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        log.warning("%s names %d recordings more than once, and each row is answered", place, len(twice))
    return [Found(name, path, problem(path)) for name in names for path in [within(root, name, place)]]


def within(root: Path, name: str, manifest: Path) -> Path:
    """The path of a row. A list may come from anybody: it does not lead to files outside of `root`.

    Links below `root` are the user's own and are followed.
    """
    start = os.path.abspath(root)
    path = os.path.normpath(os.path.join(start, name))
    if not Path(path).is_relative_to(start) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UserError(f"audio={manifest}: the row {name!r} leads out of {root}; give root=DIR")
    return Path(path)
