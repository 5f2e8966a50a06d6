"""Search for the checkpoint to resume from, and loading of the weights of the selected checkpoint."""

import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import PreTrainedModel, TrainerState

from ser.errors import UserError
from ser.training import checkpoint_folders

log = logging.getLogger("ser")


def find_resume_point(folder: Path) -> Path | None:
    """Find the newest checkpoint from which the resumed run ends with the same result as an uninterrupted run.

    A checkpoint is skipped, with a log line, if it or the best checkpoint so far is damaged or missing. A run without
    a complete checkpoint starts again.

    Raises:
        UserError: There are checkpoints, but none can be used.
    """
    faults: list[str] = []
    for checkpoint in reversed(checkpoint_folders.list_checkpoints(folder)):
        state = checkpoint_folders.read_state(checkpoint)
        if state is None or not (checkpoint / checkpoint_folders.SCHEDULER).is_file():
            continue  # its writing was interrupted, or it has only weights
        found = checkpoint_folders.find_fault(checkpoint) or find_fault_of_best(folder, state)
        if found is None:
            for line in faults:
                log.warning("%s: going on from %s instead", line, checkpoint.name)
            return checkpoint
        faults.append(found)
    if faults:
        raise UserError(f"resume=true: {faults[0]}; put it back, or give overwrite=true to start the run again")
    return None


def find_fault_of_best(folder: Path, state: dict[str, Any]) -> str | None:
    """Describe the fault of the best checkpoint so far, which may remain the best after resuming; None without one."""
    step = state.get("best_global_step")
    if not step or step == state.get("global_step"):
        return None
    found = checkpoint_folders.find_fault(checkpoint_folders.checkpoint_path(folder, step))
    return f"{found}, the best checkpoint so far" if found else None


@contextmanager
def refuse_pickles(checkpoint: str | None) -> Iterator[None]:
    """Turn the error of a checkpoint with more than tensors into one line; nothing is unpickled.

    Raises:
        UserError: A file of the checkpoint to resume from is damaged, or was not written by `ser`.
    """
    try:
        yield
    except pickle.UnpicklingError as error:
        if checkpoint is None:
            raise
        raise UserError(
            f"resume=true: a file of {checkpoint} is damaged or holds more than tensors, and was not run; remove this "
            "folder, or start again with overwrite=true"
        ) from error


def load_best(model: PreTrainedModel, folder: Path, state: TrainerState) -> int:
    """Load the weights of the best step into the model.

    Returns:
        The step.

    Raises:
        UserError: The weights are missing or damaged. The last weights are never used instead.
    """
    if not state.best_global_step:
        metric = "the evaluations gave no finite figure" if state.log_history else "there was no evaluation"
        raise UserError(
            f"{folder}: no best checkpoint, {metric}; change trainer.metric_for_best_model or eval_strategy"
        )
    best = checkpoint_folders.checkpoint_path(folder, state.best_global_step)
    found = checkpoint_folders.find_fault(best) or load_weights(model, best)
    if found is None:
        return int(state.best_global_step)
    whole = [
        path for path in checkpoint_folders.list_checkpoints(folder) if checkpoint_folders.find_fault(path) is None
    ]
    others = f"; `ser evaluate checkpoint={whole[-1]}` scores the weights of another step" if whole else ""
    raise UserError(
        f"{found}: the run ends with the weights of step {state.best_global_step}, and has no others{others}"
    )


def load_weights(model: PreTrainedModel, checkpoint: Path) -> str | None:
    """Load the weights of a `checkpoint-N`; a LoRA checkpoint has only trained weights, the model has the others.

    Returns:
        A description of their fault; None where all weights match.
    """
    weights: dict[str, Any] = {}
    for path in sorted(checkpoint.glob("model*.safetensors")):
        weights.update(load_file(path))
    missing, unexpected = model.load_state_dict(weights, strict=False)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    other = sorted({*unexpected, *trained.intersection(missing)})
    return f"{checkpoint}: {other[0]} does not belong to this model, or is missing" if other else None
