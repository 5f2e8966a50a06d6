"""The picture of each recording, under a name that no other recording has."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ser.errors import UserError
from ser.files import check_kind, printable
from ser.inference.predictions import Answer
from ser.inference.recordings import Found
from ser.locks import locked

SUFFIXES = (".png", ".pdf")
LONGEST = 200
"""Bytes of a name: what most file systems allow, less suffixes and what a temporary name adds."""


@dataclass(frozen=True)
class Pictures:
    """The folder of the pictures."""

    folder: Path

    def draw(self, recording: Found, answers: Sequence[Answer], labels: Sequence[str]) -> None:
        """Write the picture of a recording."""
        # A tenth of the start-up and of the memory, and few ask for pictures.
        from ser.inference.timeline import timeline_figure
        from ser.reports import figures

        figure = timeline_figure(answers, labels, printable(recording.name))
        figures.save(figure, self.folder / file_name(recording.name))


@contextmanager
def pictures_in(timeline: str | None, found: Sequence[Found], overwrite: bool) -> Iterator[Pictures | None]:
    """Hold the lock of a folder for the pictures of recordings; None where none are asked for.

    Raises:
        UserError: a picture is there already, two recordings would share one, or the folder is not writable.
    """
    if timeline is None:
        yield None
        return
    folder = Path(timeline).resolve()
    check_kind(folder, folder=True)
    with locked(folder):
        check_names(folder, found, overwrite)
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise UserError(f"timeline={timeline}: the folder is not writable")
        yield Pictures(folder)


def check_names(folder: Path, found: Sequence[Found], overwrite: bool) -> None:
    """Raise a UserError where a picture would replace another."""
    owners: dict[str, Path] = {}
    for one in found:
        name = file_name(one.name)
        if owners.setdefault(name, one.path) != one.path:
            raise UserError(
                f"timeline={folder}: the pictures of {printable(os.fspath(owners[name]))} and "
                f"{printable(os.fspath(one.path))} would both be called {name}; name one of them otherwise"
            )
    there = [f"{name}{suffix}" for name in owners for suffix in SUFFIXES if (folder / f"{name}{suffix}").exists()]
    if there and not overwrite:
        raise UserError(
            f"timeline={folder}: {there[0]} is there already; give another folder, or overwrite=true to replace it"
        )


def file_name(name: str) -> str:
    """A recording's name as that of one file: folders become part of it, and a long one is cut."""
    flat = printable(name).replace("/", "_").replace("\\", "_")
    if len(flat.encode()) <= LONGEST:
        return flat
    digest = hashlib.sha256(flat.encode()).hexdigest()[:16]
    return f"{flat.encode()[: LONGEST - 17].decode(errors='ignore')}-{digest}"
