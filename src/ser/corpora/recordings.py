"""What every corpus yields."""

from dataclasses import dataclass, field
from pathlib import Path

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff"})
"""Containers that libsndfile reads."""


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
    """What the audio of a corpus is like as it is published; another rate or length shows that files were changed."""

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
        """The reasons with their counts: `12 song recordings, 3 files that are no audio`."""
        return ", ".join(f"{len(paths)} {reason}" for reason, paths in sorted(self.left_out.items()))


def files_below(root: Path) -> list[str]:
    """Paths of all files below `root`, relative, with `/` separators, sorted; links to folders are not followed."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
