"""The journal of an unfinished output, by which `resume=true` continues it.

`answers.partial.csv.json` beside `answers.partial.csv` holds the settings of the command and what was complete at the
end of a block of recordings. Both are gone when the output is finished.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from ser import config
from ser.checksums import checksum
from ser.errors import UserError
from ser.files import remove_leftovers, write_json
from ser.inference.output_format import OutputFormat
from ser.inference.predictor import Predictor
from ser.models.file_names import EXPORT, PICKLED, SAFE, TEXTS

SAVE_EVERY = 10.0
"""Seconds between two versions of a journal: the work that a kill costs at most, beside the current block."""
INDESCRIBABLE = ("checkpoints", "columns")
"""Settings whose values are too long for an error message."""
ANEW = "the output cannot be continued; overwrite=true starts anew"
clock = time.monotonic


@dataclass
class Done:
    """What is complete at the end of a block of recordings."""

    recordings: int = 0
    names: str = ""
    """Hash of the names of those recordings."""
    predictions: int = 0
    failed: int = 0
    """Recordings with an error."""
    emotions: dict[str, int] = field(default_factory=dict)
    """Number of predictions of each emotion."""
    size: int = 0
    """Bytes of CSV or JSON lines, rows of Parquet."""
    content: str = ""
    """Hash of those bytes; empty for Parquet."""


@dataclass
class Counts:
    """Numbers of predictions, of recordings with an error, and of each emotion."""

    predictions: int = 0
    failed: int = 0
    emotions: Counter[str] = field(default_factory=Counter)

    @classmethod
    def from_done(cls, done: Done) -> "Counts":
        return cls(done.predictions, done.failed, Counter(done.emotions))

    def add(self, emotion: str | None) -> None:
        """Count a prediction; None: an error."""
        self.predictions += 1
        if emotion is None:
            self.failed += 1
        else:
            self.emotions[emotion] += 1


class Journal:
    """Writes what is complete, at most every `SAVE_EVERY` seconds.

    Args:
        path: The file; None: nothing is written, because the recordings cannot be read again.
        settings: The values that must be the same in a command that continues.
        replaces: Whether the finished output replaces one that is there.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any] | None = None, replaces: bool = False) -> None:
        self.path, self.settings, self.replaces = path, dict(settings or {}), replaces
        self.names = xxhash.xxh3_128()
        self.done, self.counts = Done(names=self.names.hexdigest()), Counts()
        self.saved = clock()

    @property
    def is_due(self) -> bool:
        return clock() - self.saved >= SAVE_EVERY

    def record(self, names: Sequence[str], size: int, content: str = "") -> None:
        """Take the end of a block of recordings as the place where another command would continue."""
        for name in names:
            self.names.update(os.fsencode(name) + b"\0")
        counts, recordings = self.counts, self.done.recordings + len(names)
        self.done = Done(
            recordings, self.names.hexdigest(), counts.predictions, counts.failed, dict(counts.emotions), size, content
        )

    def save(self) -> None:
        """Write the journal; the output must be on the disk up to `done`."""
        self.saved = clock()
        if self.path is not None:
            content = {"settings": self.settings, "replaces": self.replaces, "done": asdict(self.done)}
            write_json(self.path, content)

    def load(self, names: Sequence[str]) -> None:
        """Continue the journal that is there.

        Args:
            names: The names of all recordings of this command.

        Raises:
            UserError: There is none, it is damaged, or its command had other settings or recordings.
        """
        assert self.path is not None
        remove_leftovers(self.path)
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            settings, self.replaces, done = content["settings"], content["replaces"], Done(**content["done"])
        except FileNotFoundError:
            raise UserError(f"resume=true: {self.path} is missing, without which {ANEW}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"resume=true: {self.path} cannot be read, without which {ANEW}") from error
        self.check_settings(settings)
        self.counts = Counts.from_done(done)
        self.record(names[: done.recordings], done.size, done.content)
        if self.done != done:
            raise UserError(f"resume=true: the first {done.recordings} recordings are others by now, and {ANEW}")

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raise a UserError where the unfinished output was made with other settings."""
        assert self.path is not None
        for key, value in self.settings.items():
            former = settings.get(key)
            if former == value:
                continue
            if key in INDESCRIBABLE:
                raise UserError(f"resume=true: {self.path.stem} was made with other {key}; overwrite=true starts anew")
            raise UserError(
                f"resume=true: {self.path.stem} was made with {key}={show(former)}, not {show(value)}; give the same "
                "value; overwrite=true starts anew"
            )

    def remove(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def show(value: Any) -> str:
    return "null" if value is None else str(value)


def settings_of(cfg: config.Predict, predictor: Predictor) -> dict[str, Any]:
    """Return the settings that change predictions or their order; `batch_size` changes neither."""
    return {
        "checkpoints": [fingerprint(member.folder) for member in predictor.members],
        "columns": OutputFormat.from_predictor(predictor).header(),
        "ensemble": cfg.ensemble.name,
        "test_time_copies": cfg.test_time_copies or None,  # a journal of an earlier release has no such entries
        "temperature": None if cfg.temperature == 1 else cfg.temperature,
        "audio": os.path.abspath(cfg.audio),
        "root": None if cfg.root is None else os.path.abspath(cfg.root),
        "window": cfg.window,
        "hop": cfg.hop,
        "max_seconds": cfg.max_seconds,
        "timeline": None if cfg.timeline is None else os.path.abspath(cfg.timeline),
    }


def fingerprint(folder: Path) -> dict[str, str]:
    """Return the checksums of the files of a checkpoint or of an exported model that change its predictions."""
    paths = {path for pattern in (*TEXTS, *SAFE, *PICKLED, *EXPORT) for path in folder.glob(pattern)}
    return {path.name: checksum(path) for path in sorted(paths)}
