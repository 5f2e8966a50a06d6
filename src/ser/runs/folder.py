"""The run folder: the names of its files, whether it is finished, how a new run replaces an older one."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ser.files import remove, remove_leftovers, write_errors_explained
from ser.locks import is_lock

CONFIG = "config.yaml"
"""Written first: a folder that has it is a run."""
FINISHED = "environment.json"
"""Written last: a folder that has it is complete."""
REPORT = "classification_report.json"
PREDICTIONS = "predictions.csv"
TEST = "test.csv"
HISTORY = "history.csv"
LOG = "run.log"
INNER = "inner"
"""The folder of the inner folds of `trainer.choose=inner`, until the number of epochs is found."""
INNER_TABLE = "inner.csv"
"""The evaluations of the inner folds."""
CHECKPOINT = "checkpoint"
NEW = ".new"
"""Inside a run folder: the run that `overwrite=true` began, until it is finished."""
MOVING = ".moving"
"""The same, finished, while its files move into the run folder."""
FILES = (
    CONFIG, FINISHED, REPORT, PREDICTIONS, HISTORY, LOG, INNER_TABLE, "train.csv", "validation.csv", TEST, "runs.csv",
    "breakdown.csv", "classification_report.txt", "confusion_matrix.csv", "report.html",
    *(f"{name}.{kind}" for name in ("confusion_matrix", "training_graph", "speakers", "reliability")
      for kind in ("png", "pdf")),
)  # fmt: skip
FOLDERS = (CHECKPOINT, INNER, "tensorboard", "wandb", "onnx", "push", NEW, MOVING)
NUMBERED = re.compile(r"checkpoint-\d+|(checkpoint-\d+-)?evaluation-(train|validation|test)|checkpoint-\d+-onnx")
"""Checkpoints to resume from, and what `ser evaluate` and `ser export` write beside a checkpoint."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, or of the report on several that lie below it."""

    path: Path

    @property
    def finished(self) -> Path:
        return self.path / FINISHED

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def new(self) -> "RunFolder":
        return RunFolder(self.path / NEW)

    @property
    def moving(self) -> "RunFolder":
        return RunFolder(self.path / MOVING)

    def is_finished(self) -> bool:
        return self.finished.is_file()

    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / CONFIG).is_file()

    def has_checkpoints(self) -> bool:
        names = (path.name for path in self.path.glob("checkpoint*") if path.is_dir())
        return (self.path / INNER).is_dir() or any(map(is_own, names))

    def is_empty(self) -> bool:
        """Whether nothing is here, apart from locks."""
        return not self.path.exists() or (self.path.is_dir() and all(map(is_lock, self.path.iterdir())))

    def below(self) -> list["RunFolder"]:
        """Return the runs in folders below this one: those of folds and seeds."""
        runs = map(RunFolder, sorted(self.path.glob("*")))
        return [run for run in runs if run.path.name[0] != "." and run.is_run()]

    def own(self) -> Iterator[Path]:
        """List what a run and the commands on it wrote here; anything else belongs to the user."""
        return (path for path in self.path.iterdir() if is_own(path.name))

    def clear(self) -> None:
        """Remove what a run wrote, and nothing else."""
        for path in list(self.own()):
            remove(path)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of a killed process; for who holds the lock."""
        for name in (*FILES, CHECKPOINT):
            remove_leftovers(self.path / name)

    def is_replaced(self) -> bool:
        """Whether a finished new run has yet to take its place."""
        return self.new.is_finished() or self.moving.path.is_dir()

    def replace(self) -> None:
        """Replace the older run by a finished new one; continue where a killed process stopped.

        While the new run is in `.new` the older one's own files go, and then those of the new one move. A folder
        without its mark of a finished run is never taken for one: it goes first, and comes last.
        """
        with write_errors_explained(self.path):
            if self.new.is_finished():
                remove(self.finished)
                for run in self.new.below():
                    RunFolder(self.path / run.path.name)._make_way(keep="")
                self._make_way(keep=NEW)
                os.rename(self.new.path, self.moving.path)
            if self.moving.path.is_dir():
                _move(self.moving.path, self.path)

    def _make_way(self, keep: str) -> None:
        if not self.is_run():
            return
        between = [path for path in self.own() if path.name not in (keep, FINISHED, CONFIG)]
        for path in (self.finished, *between, self.path / CONFIG):
            remove(path)


def is_own(name: str) -> bool:
    """Whether something of this name in a run folder was written by a run, or by a command on it."""
    return name in (*FILES, *FOLDERS) or NUMBERED.fullmatch(name) is not None


def _move(source: Path, target: Path) -> None:
    """Move all that is in a folder into another, which may hold files of the user's; the runs below it as well."""
    for path in sorted(source.iterdir(), key=lambda path: path.name == FINISHED):
        place = target / path.name
        if place.is_dir() and not is_own(path.name):
            _move(path, place)
        else:
            os.replace(path, place)
    source.rmdir()
