"""The folder of timelines: a figure for each recording, with a unique name."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ser.errors import UserError
from ser.files import check_kind, printable
from ser.inference.predictions import WindowPrediction
from ser.inference.recordings import Recording
from ser.locks import locked

SUFFIXES = (".png", ".pdf")
MAX_NAME = 200
"""Bytes of a name: the limit of most file systems, less suffixes and what a temporary name adds."""


@dataclass(frozen=True)
class TimelineFolder:
    """The folder of the figures."""

    folder: Path

    def draw(self, recording: Recording, windows: Sequence[WindowPrediction], labels: Sequence[str]) -> None:
        """Draw the timeline of a recording and save it."""
        # Imported here because it takes a tenth of the start-up time and memory, and few commands draw figures.
        from ser.inference.timeline import timeline_figure
        from ser.reports import figures

        figure = timeline_figure(windows, labels, printable(recording.name))
        figures.save(figure, self.folder / file_name(recording.name))


@contextmanager
def reserve_timelines(
    timeline: str | None, recordings: Sequence[Recording], overwrite: bool
) -> Iterator[TimelineFolder | None]:
    """Yield the folder for timelines and hold its lock; None where no timelines are requested.

    Raises:
        UserError: A figure exists already, two recordings would share one, or the folder is not writable.
    """
    if timeline is None:
        yield None
        return
    folder = Path(timeline).resolve()
    check_kind(folder, folder=True)
    with locked(folder):
        check_names(folder, recordings, overwrite)
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise UserError(f"timeline={timeline}: the folder is not writable")
        yield TimelineFolder(folder)


def check_names(folder: Path, recordings: Sequence[Recording], overwrite: bool) -> None:
    """Raise a UserError where a figure would replace another."""
    owners: dict[str, Path] = {}
    for one in recordings:
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
    """Return the file name for a recording: path separators become underscores, and a long name is cut."""
    flat = printable(name).replace("/", "_").replace("\\", "_")
    if len(flat.encode()) <= MAX_NAME:
        return flat
    digest = hashlib.sha256(flat.encode()).hexdigest()[:16]
    return f"{flat.encode()[: MAX_NAME - 17].decode(errors='ignore')}-{digest}"
