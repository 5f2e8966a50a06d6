"""The `checkpoint-N` folders of a run: which are whole, which one a run goes on from, which may go."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ser import config
from ser.errors import UserError
from ser.files import remove, write_json

STATE = "trainer_state.json"
OPTIMIZER = "optimizer.pt"
SCHEDULER = "scheduler.pt"
"""The Trainer's names. A scheduler's state stands beside every state of an optimizer, however that one is sharded."""
NAME = re.compile(r"checkpoint-\d+", re.ASCII)
WRITING = "being_written"
"""Stands in a checkpoint from its beginning until its last byte is written."""


def path_of(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step}"


def in_order(folder: Path) -> list[Path]:
    """All of them, the oldest first; a copy under another name (`checkpoint-100.bak`) is none of them."""
    there = [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(there, key=step_of)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def begin(checkpoint: Path) -> None:
    """Make the folder, marked: the Trainer writes the files that tell of a whole one before the weights are there."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / WRITING).touch()


def complete(checkpoint: Path, limit: int, best: str | None) -> None:
    """Count it as whole from now on, and make room."""
    (checkpoint / WRITING).unlink()
    rotate(checkpoint.parent, limit, best)


def state_of(checkpoint: Path) -> dict[str, Any] | None:
    """The Trainer's state of a whole checkpoint; None where its writing was interrupted."""
    if (checkpoint / WRITING).exists():
        return None
    try:
        return dict(json.loads((checkpoint / STATE).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def any_whole(folder: Path) -> bool:
    return any(state_of(path) is not None for path in in_order(folder))


def last(folder: Path) -> Path | None:
    """The newest whole one that holds an optimizer's state: a run goes on from there."""
    newest_first = reversed(in_order(folder))
    return next((path for path in newest_first if (path / SCHEDULER).is_file() and state_of(path) is not None), None)


def at_home(checkpoint: Path) -> Path:
    """Let the state of a checkpoint name the best one where it lies now: the Trainer keeps its absolute path.

    Raises:
        UserError: the best one is gone, so that a run that goes on could not end with it.
    """
    state = state_of(checkpoint) or {}
    if (best := state.get("best_model_checkpoint")) is None:
        return checkpoint
    here = checkpoint.parent / Path(best).name
    if state_of(here) is None:
        raise UserError(
            f"resume=true: {checkpoint} goes on from a run whose best checkpoint so far, {here.name}, is not in "
            f"{checkpoint.parent}; put it back, or start again with overwrite=true"
        )
    if best != str(here):
        write_json(checkpoint / STATE, {**state, "best_model_checkpoint": str(here)})
    return checkpoint


def drop_after(folder: Path, checkpoint: Path | None) -> None:
    """Remove what a run that goes on from `checkpoint` writes again; all of them where it starts again."""
    for path in in_order(folder):
        if checkpoint is None or step_of(path) > step_of(checkpoint):
            remove(path)


def drop(folder: Path) -> None:
    """Remove what only resuming needs: the folds of a large encoder would fill a disk with it."""
    drop_after(folder, None)


def rotate(folder: Path, limit: int, best: str | None) -> None:
    """Remove the oldest ones above the limit, but never one that is needed.

    Needed are the newest, the best, the one to go on from, and what was the best when that one was written: a run that
    goes on there and finds nothing better ends with it.
    """
    there, resumable = in_order(folder), last(folder)
    needed = {there[-1].name} | names(best)
    if resumable is not None:
        needed |= {resumable.name} | names((state_of(resumable) or {}).get("best_model_checkpoint"))
    spare = [path for path in there if path.name not in needed]
    for path in spare[: max(0, len(there) - limit)]:
        remove(path)


def names(best: str | None) -> set[str]:
    """The name of a checkpoint's folder, where there is one: the run folder may have been moved."""
    return set() if best is None else {Path(best).name}


def check_space(folder: Path, all_parameters: int, trained_parameters: int, trainer: config.Trainer) -> None:
    """Refuse a run whose checkpoints would not fit on the disk, before hours of training rather than after.

    Raises:
        UserError: less is free than float32 weights and the two moments of Adam need, once for each checkpoint that
            may be kept (see `rotate`) and the one that is written before the oldest is removed, and the final weights
            once.
    """
    count = max(trainer.save_total_limit, 4 if trainer.save_optimizer_every > 1 else 2)
    weights, moments = 4 * all_parameters, 8 * trained_parameters if trainer.save_optimizer_every else 0
    needed, free = (count + 1) * (weights + moments) + weights, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"no space left: {folder} needs {needed / 1e9:.2f} GB for {count} checkpoints, {free / 1e9:.2f} GB "
            "are free; lower trainer.save_total_limit or give another output_dir"
        )


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Say in one line that the disk is full: the writers of texts, weights and optimizer states each say it otherwise.

    Raises:
        UserError: there was no room.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if shutil.disk_usage(folder).free < 2**20:
            raise UserError(f"no space left on the disk of {folder}; make room and give resume=true") from error
        raise
