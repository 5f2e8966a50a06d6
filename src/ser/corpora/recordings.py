"""Recordings of a corpus, and the scan of its folder."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ser.errors import UserError

log = logging.getLogger("ser")

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
    | {".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"}
)
"""Containers that libsndfile reads."""
OTHER_SUFFIXES = frozenset(
    {".m4a", ".m4b", ".mp4", ".aac", ".webm", ".mka", ".mkv", ".mov", ".3gp", ".amr", ".wma", ".avi", ".ape", ".wv"}
)
"""Containers of sound that it does not read: of phones, of browsers, of video."""


@dataclass(frozen=True)
class Recording:
    """One utterance as its corpus names it; a field that the corpus does not know is empty."""

    path: str
    """Relative to the corpus root, with `/` separators."""
    emotion: str
    speaker: str
    gender: str = ""
    intensity: str = ""
    statement: str = ""
    repetition: str = ""


@dataclass(frozen=True)
class Format:
    """The audio format of a published corpus; another rate or length shows that files were changed."""

    sample_rate: int
    """Hertz."""
    shortest: float
    """Seconds."""
    longest: float
    """Seconds."""


@dataclass
class Scan:
    """The recordings below a root, sorted by path, and the files that were left out, by reason."""

    recordings: list[Recording] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, path: str) -> None:
        self.left_out.setdefault(reason, []).append(path)

    def summary(self) -> str:
        """Return the reasons with their counts: `12 song recordings, 3 files that are no audio`."""
        return ", ".join(f"{len(paths)} {reason}" for reason, paths in sorted(self.left_out.items()))


def files_below(root: Path, unreadable: Callable[[str, str], None] | None = None) -> list[str]:
    """List all files below a folder; a link to a folder is followed unless its target lies below `root` or above it.

    Args:
        root: the folder.
        unreadable: takes the name of a folder that cannot be read, and why; None: it ends the search.

    Returns:
        Paths relative to `root`, with `/` separators, sorted; what they lead to may be missing, or no regular file.

    Raises:
        UserError: a folder cannot be read.
    """

    def failed(error: OSError) -> None:
        name, why = Path(error.filename).relative_to(root).as_posix(), error.strerror or str(error)
        if unreadable is None:
            raise UserError(f"{error.filename}: the folder cannot be read ({why})") from error
        unreadable(name, why)

    found, places = [], [root.resolve()]
    for folder, folders, files in os.walk(root, onerror=failed, followlinks=True):
        folders[:] = [name for name in sorted(folders) if is_new(Path(folder, name), places)]
        found += [Path(folder, name).relative_to(root).as_posix() for name in files]
    return sorted(found)


def is_new(folder: Path, places: list[Path]) -> bool:
    """Return whether to search a folder: it is no link, or its target is not below `places` and is added to them."""
    if not folder.is_symlink():
        return True
    place = folder.resolve()
    if any(place.is_relative_to(known) for known in places):
        return False  # found under its own name
    if any(known.is_relative_to(place) for known in places):
        log.warning("%s: it is a link to a folder that holds the one searched, and is not followed", folder)
        return False
    places.append(place)
    return True
