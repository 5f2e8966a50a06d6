"""Recordings of a corpus, and the scan of its folder."""

import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ser.errors import UserError
from ser.wording import counted

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

    path: str = field(metadata={"distinct": True})
    """Relative to the corpus root, with `/` separators; of a part of a file with `#t=START,END` behind it (seconds), as
    in W3C Media Fragments. Outside the root it is absolute."""
    emotion: str
    speaker: str
    gender: str = ""
    intensity: str = ""
    statement: str = ""
    repetition: str = ""
    language: str = ""
    session: str = ""
    """The conversation or the session: what its recordings share beside their speakers."""
    split: str = ""
    """The split that the corpus or the table puts it in: `train`, `validation`, `test`, or a name of its own."""
    corpus: str = ""
    """Of several corpora together."""
    id: str = field(default="", metadata={"distinct": True})
    """What identifies it together with the speaker; empty: the name of its file without the suffix."""
    extra: str = field(default="", metadata={"distinct": True})
    """Further columns of a table, as JSON."""

    @property
    def name(self) -> str:
        """The name of the recording, wherever and in whatever container it is stored."""
        return self.id or PurePosixPath(self.path).stem

    @property
    def file(self) -> str:
        """The path of the file, also of a part of it."""
        return split_fragment(self.path)[0]

    @property
    def span(self) -> tuple[float, float | None]:
        """Where it begins and ends in its file, in seconds; None: at the end of the file."""
        return split_fragment(self.path)[1]


FRAGMENT = re.compile(r"(.*)#t=([0-9.]+),([0-9.]*)", re.DOTALL)


def add_fragment(path: str, start: float, end: float | None) -> str:
    """Return the path of a part of a file.

    >>> add_fragment("call.wav", 1.5, None), split_fragment("call.wav#t=1.5,"), split_fragment("call.wav")
    ('call.wav#t=1.5,', ('call.wav', (1.5, None)), ('call.wav', (0.0, None)))
    """
    return f"{path}#t={write_seconds(start)},{'' if end is None else write_seconds(end)}"


def write_seconds(seconds: float) -> str:
    """Return a time with as many decimals as it has, down to a microsecond.

    >>> write_seconds(10.0), write_seconds(0.25), write_seconds(12345.678)
    ('10', '0.25', '12345.678')
    """
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def split_fragment(path: str) -> tuple[str, tuple[float, float | None]]:
    """Return the path of a file, and where a part of it begins and ends."""
    match = FRAGMENT.fullmatch(path)
    if match is None:
        return path, (0.0, None)
    return match[1], (float(match[2]), float(match[3]) if match[3] else None)


@dataclass
class Scan:
    """The recordings below a root, sorted by path, and the files that were left out, by reason."""

    recordings: Sequence[Recording] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """What a user should look at, one line each."""
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    """Labels that were `mapped` to others and `left_out`, with their numbers of recordings."""

    def leave_out(self, reason: str, path: str) -> None:
        self.left_out.setdefault(reason, []).append(path)

    def revise(self, change: Callable[[Recording], Recording | str]) -> None:
        """Replace each recording by the one that `change` returns, or leave it out for the reason that it returns."""
        kept = []
        for recording in self.recordings:
            result = change(recording)
            if isinstance(result, str):
                self.leave_out(result, show(recording.path))
            else:
                kept.append(result)
        self.recordings = kept

    def summary(self) -> str:
        """Return the reasons with their counts: `12 song recordings, 3 files that are no audio`."""
        return ", ".join(counted(len(paths), reason) for reason, paths in sorted(self.left_out.items()))


def describe_file(root: Path, path: str, corpus: str) -> str:
    """Say what a file is that no recording of the corpus is named like."""
    place = PurePosixPath(path)
    if reason := why_no_file(root, path):
        return reason
    if is_hidden(place):
        return "hidden files"
    if place.suffix.lower() in OTHER_SUFFIXES:
        return "audio or video files that are not read"
    known = place.suffix.lower() in AUDIO_SUFFIXES
    return f"audio files not named as {corpus} names them" if known else "files that are no audio"


def is_hidden(place: PurePosixPath) -> bool:
    """Return whether a file is hidden or beside the recordings, as those of macOS are."""
    return place.name.startswith(".") or "__MACOSX" in place.parts


def why_no_file(root: Path, path: str) -> str:
    """Return why what lies there is no file; empty if it is one."""
    if (root / path).is_file():
        return ""
    return "links that lead nowhere" if (root / path).is_symlink() else "pipes, sockets or devices"


def why_unwritable(path: str) -> str:
    """Return why the manifest cannot hold a path; empty if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "it holds bytes that are no UTF-8; rename it"
    return ""


def show(path: str) -> str:
    """Return a path in a form that fits into one line."""
    return path if path.isprintable() else ascii(path)


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
