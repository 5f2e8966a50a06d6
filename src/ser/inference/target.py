"""The paths of an output, reserved before anything is computed: the lock, and what is there already."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ser.errors import UserError
from ser.files import check_kind, is_special, remove
from ser.inference.journal import Journal
from ser.locks import locked

SHARD_NAME = re.compile(r"part-\d{5,}\.parquet|\.part-.*\.tmp")
"""A shard, or what a killed process left of one."""


@dataclass(frozen=True)
class Target:
    """The paths of an output of `ser predict`."""

    path: Path
    is_folder: bool
    """Whether the output is a folder of Parquet shards."""

    @classmethod
    def from_name(cls, given: str, path: Path) -> "Target":
        return cls(path, is_folder=given.endswith(("/", os.sep)))

    @property
    def has_shards(self) -> bool:
        """Whether the partial output is a folder of shards."""
        return self.is_folder or self.path.suffix == ".parquet"

    @property
    def partial(self) -> Path:
        """The path until the output is finished."""
        name = f"{self.path.name}.partial" if self.is_folder else f"{self.path.stem}.partial{self.path.suffix}"
        return self.path.with_name(name)

    @property
    def journal(self) -> Path:
        return self.partial.with_name(f"{self.partial.name}.json")

    @property
    def is_finished(self) -> bool:
        return self.is_there and not self.partial.exists()

    @property
    def is_there(self) -> bool:
        """Whether the output exists; an empty folder does not count."""
        return any(self.path.iterdir()) if self.is_folder and self.path.is_dir() else self.path.exists()

    def check_free(self, overwrite: bool, resume: bool) -> None:
        """Raise a UserError where something is in the way that the command may not replace."""
        check_kind(self.path, folder=self.is_folder)
        check_kind(self.partial, folder=self.has_shards)
        if self.is_folder and not os.access(self.path.parent, os.W_OK):
            raise UserError(
                f"output={self.path}: {self.path.parent} is not writable, where it is made; give another name"
            )
        for folder in [self.path] * self.is_folder + [self.partial] * self.has_shards:
            check_folder(folder)
        if overwrite or resume:
            return
        if self.is_there:
            kind = "a folder" if self.is_folder else "a file"
            raise UserError(f"output={self.path}: {kind} is here; give another name, or overwrite=true to replace it")
        if self.partial.exists():
            raise UserError(
                f"output={self.path}: {self.partial.name} of a run that did not finish is here; resume=true continues "
                "it, overwrite=true replaces it"
            )

    def check_meanwhile(self, replaces: bool) -> None:
        """Raise a UserError where another process has created the output."""
        if self.is_there and not replaces:
            raise UserError(f"{self.path}: a {'folder' if self.is_folder else 'file'} has appeared here meanwhile")

    def describe_kept(self, predictions: int, journal: Journal) -> str:
        """Return the message about the kept predictions when the command ends early."""
        if not predictions:
            return "there was no prediction yet"
        how = "" if journal.path is None else "; the same command with resume=true goes on"
        return f"{predictions} predictions so far are kept in {self.partial}{how}"


def check_folder(folder: Path) -> None:
    """Raise a UserError where a folder of shards holds other files, which are never removed."""
    if not folder.is_dir():
        return
    if os.path.ismount(folder):
        raise UserError(f"output={folder}: it is the root of a disk; give a folder below it")
    others = sorted(path.name for path in folder.iterdir() if not SHARD_NAME.fullmatch(path.name))
    if others:
        raise UserError(f"output={folder}: the folder holds other files ({others[0]}); give another name")


def remove_shards(folder: Path) -> None:
    """Remove a folder of shards, if it exists."""
    if folder.is_dir():
        for path in folder.iterdir():
            if SHARD_NAME.fullmatch(path.name):
                remove(path)
        folder.rmdir()


@contextmanager
def reserve_output(given: str | None, overwrite: bool, resume: bool) -> Iterator[Target | None]:
    """Check that an output can be written, before hours of work, and hold its lock until it is written.

    Raises:
        UserError: The output exists, another command writes it, or the path is not writable.
    """
    if given is None:
        yield None
        return
    with reserve_path(given, "output") as path:
        target = Target.from_name(given, path)
        target.check_free(overwrite, resume)
        yield target


@contextmanager
def reserve_embeddings(given: str | None, overwrite: bool) -> Iterator[Path | None]:
    """Do the same for the embeddings, which appear as a whole."""
    if given is None:
        yield None
        return
    with reserve_path(given, "embeddings") as path:
        check_kind(path, folder=False)
        if path.exists() and not overwrite:
            raise UserError(f"embeddings={path}: a file is here; give another name, or overwrite=true to replace it")
        yield path


@contextmanager
def reserve_path(given: str, key: str) -> Iterator[Path]:
    """Hold the lock of a path; a link is followed, and kept."""
    path = Path(given).resolve()
    if path.suffix != Path(given).suffix:
        raise UserError(f"{key}={given}: it is a link to {path}, whose name ends otherwise; give that name")
    if is_special(path):
        raise UserError(f"{key}={given}: it is a pipe or a device; give the name of a file")
    with locked(path):
        yield path
