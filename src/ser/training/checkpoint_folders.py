"""The `checkpoint-N` folders of a run: complete ones, resumable ones, and those that may be deleted."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ser import checksums, config
from ser.errors import UserError
from ser.files import remove
from ser.models.hub import is_truncated

STATE = "trainer_state.json"
OPTIMIZER = "optimizer.pt"
SCHEDULER = "scheduler.pt"
"""File names of the Trainer. Each optimizer state, sharded or not, has a scheduler state beside it."""
INTERVAL = "interval.json"
"""Name of the file with the sums of the training metrics since their last entry in the log."""
NAME = re.compile(r"checkpoint-\d+", re.ASCII)
WRITING = "being_written"
"""Name of a marker file that exists in a checkpoint folder until the checkpoint is complete."""


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step}"


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints, oldest first; copies such as `checkpoint-100.bak` are left out."""
    there = [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(there, key=step_of)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def begin(checkpoint: Path) -> None:
    """Create the folder and mark it as incomplete, because the Trainer writes its state before the weights."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / WRITING).touch()


def complete(checkpoint: Path, limit: int, best: str | None) -> None:
    """Write the checksums, remove the marker file, and delete checkpoints above the limit."""
    checksums.write(checkpoint, "*.*")  # all files except the marker
    (checkpoint / WRITING).unlink()
    rotate(checkpoint.parent, limit, best)


def read_state(checkpoint: Path) -> dict[str, Any] | None:
    """Read the Trainer's state of a complete checkpoint; return None for an incomplete one."""
    if (checkpoint / WRITING).exists():
        return None
    try:
        return dict(json.loads((checkpoint / STATE).read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def has_ended(checkpoint: Path) -> bool:
    """Return whether training had ended, normally or by early stopping, when a checkpoint was written."""
    callbacks = (read_state(checkpoint) or {}).get("stateful_callbacks", {})
    return bool(callbacks.get("TrainerControl", {}).get("args", {}).get("should_training_stop", False))


def find_fault(checkpoint: Path) -> str | None:
    """Describe the damage of a checkpoint; None where there is none."""
    if not checkpoint.is_dir():
        return f"{checkpoint} is gone"
    if (checkpoint / checksums.FILE).is_file():
        return checksums.fault(checkpoint)
    return next((f"{path} is damaged" for path in sorted(checkpoint.iterdir()) if is_torn(path)), None)


def is_torn(path: Path) -> bool:
    """Return whether a file is truncated; for checkpoints without checksums, from earlier versions."""
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt"):
                return False
        except SafetensorError:
            return True
    return path.suffix in (".pt", ".pth") and (path.stat().st_size == 0 or is_truncated(path))


def newest_resumable(folder: Path) -> Path | None:
    """Return the newest complete checkpoint with an optimizer state."""
    newest_first = reversed(list_checkpoints(folder))
    return next((path for path in newest_first if (path / SCHEDULER).is_file() and read_state(path) is not None), None)


def delete_after(folder: Path, checkpoint: Path | None) -> None:
    """Delete the checkpoints after `checkpoint`, or all of them; the resumed run writes them again."""
    for path in list_checkpoints(folder):
        if checkpoint is None or step_of(path) > step_of(checkpoint):
            remove(path)


def delete_checkpoints(folder: Path) -> None:
    """Delete all checkpoints, because those of all folds of a large encoder would fill a disk."""
    delete_after(folder, None)


def rotate(folder: Path, limit: int, best: str | None) -> None:
    """Delete the oldest checkpoints above the limit, except those that are needed.

    These are the newest, the best, the one to resume from, and the best at the step of the latter, which a resumed run
    without improvement selects.
    """
    there, resumable = list_checkpoints(folder), newest_resumable(folder)
    needed = {there[-1].name} | folder_names(best)
    if resumable is not None:
        needed |= {resumable.name} | folder_names((read_state(resumable) or {}).get("best_model_checkpoint"))
    spare = [path for path in there if path.name not in needed]
    for path in spare[: max(0, len(there) - limit)]:
        remove(path)


def folder_names(best: str | None) -> set[str]:
    """Return the name of a checkpoint's folder without its parents, because the run folder may have been moved."""
    return set() if best is None else {Path(best).name}


def check_space(folder: Path, parameters: dict[str, int], trainer: config.Trainer, lora: bool = False) -> None:
    """Raise a UserError where the checkpoints of a run would not fit on the disk.

    Args:
        folder: The folder for the checkpoints.
        parameters: The numbers of parameters, `all` and `trained`.
        trainer: The config with the number of checkpoints to keep.
        lora: Whether the checkpoints have only the trained weights.

    Raises:
        UserError: The disk has not enough space for the final weights and for all checkpoints: those to keep (see
            `rotate`) and one more, which is written before the oldest is removed. Each checkpoint has float32 weights
            and the two moments of Adam.
    """
    count = max(trainer.save_total_limit, 2)
    whole, trained = 4 * parameters["all"], 4 * parameters["trained"]
    each = (trained if lora else whole) + 2 * trained
    needed, free = (count + 1) * each + whole, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"no space left: {folder} needs {needed / 1e9:.2f} GB for {count} checkpoints, {free / 1e9:.2f} GB "
            "are free; lower trainer.save_total_limit or give another output_dir"
        )


FULL = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)]
"""Messages of the system for a full disk; a file that does not fit may leave megabytes free."""


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn the errors of a full disk into one line; text, weights and optimizer states each raise a different error.

    Raises:
        UserError: The disk is full.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if any(words in str(error) for words in FULL) or shutil.disk_usage(folder).free < 2**20:
            raise UserError(f"no space left on the disk of {folder}; make room and give resume=true") from error
        raise
