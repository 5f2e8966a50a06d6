"""Write the Trainer's checkpoints, in the foreground or in a thread."""

import logging
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import Trainer, TrainerState

from ser import config
from ser.files import sync
from ser.models.checkpoint import STAMP
from ser.models.freezing import trained_state
from ser.training import best, checkpoint_folders
from ser.training.async_writer import AsyncWriter, snapshot

log = logging.getLogger("ser")


class CheckpointingTrainer(Trainer):
    """Writes its checkpoints in the background where that is asked for, and keeps those that are needed."""

    def __init__(self, *args: Any, options: config.Trainer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options = options
        self.writer = AsyncWriter()
        self._later: list[Callable[[], None]] | None = None
        """The jobs of the thread for the checkpoint that is being taken; None in the foreground."""

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        """Train; afterwards all checkpoints are on the disk and the best weights in the model."""
        output = None
        if resume_from_checkpoint is not None and checkpoint_folders.has_ended(Path(resume_from_checkpoint)):
            # The Trainer would train one step more.
            self.state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / checkpoint_folders.STATE))
        else:
            with self.writer, best.refuse_pickles(resume_from_checkpoint):
                output = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        best.load_best(self.model, Path(self.args.output_dir), self.state)
        return output

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Take a checkpoint: the small files are written now, the large ones may be copied for the thread.

        Older checkpoints are deleted when it is complete. The Trainer would not wait for that, so its own limit is off.
        """
        self.writer.wait()  # one snapshot in memory at a time: a disk slower than training holds it up, memory is safe
        checkpoint = checkpoint_folders.checkpoint_path(Path(self.args.output_dir), self.state.global_step)
        checkpoint_folders.begin(checkpoint)
        if stamp := getattr(self.model.config, STAMP, None):
            stamp["step"] = self.state.global_step
        # While the last one is written there is nothing else to do.
        self._later = [] if self.in_background and not self.control.should_training_stop else None
        try:
            super()._save_checkpoint(model, trial)
            later = self._later
        finally:
            self._later = None
        limit, best_one = self.options.save_total_limit, self.state.best_model_checkpoint
        if later is None:
            checkpoint_folders.complete(checkpoint, limit, best_one)
        else:
            self.writer.start(partial(write, later, checkpoint, limit, best_one))

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save the weights; of a LoRA run only the trained ones."""
        weights = trained_state(self.model) if state_dict is None else state_dict
        if self._later is None:
            super()._save(output_dir, weights)
        else:
            self._later.append(partial(super()._save, output_dir, snapshot(weights)))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self._later is None:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        for name, part in (
            (checkpoint_folders.OPTIMIZER, self.optimizer),
            (checkpoint_folders.SCHEDULER, self.lr_scheduler),
        ):
            self._later.append(partial(torch.save, snapshot(part.state_dict()), Path(output_dir) / name))

    @cached_property
    def in_background(self) -> bool:
        """Whether the thread writes, decided at the first checkpoint: the optimizer has no state earlier."""
        if not self.options.background_checkpoints:
            return False
        if reason := self.why_not():
            log.info("trainer.background_checkpoints: training waits for its checkpoints, because %s", reason)
        return reason is None

    def why_not(self) -> str | None:
        """Return why checkpoints stay in the foreground; None where the thread can write them."""
        if self.is_deepspeed_enabled:
            return "DeepSpeed writes them itself"
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        moments = [value for value in state if isinstance(value, torch.Tensor)]
        if self.args.device.type == "cpu" and any(type(tensor) is not torch.Tensor for tensor in moments):
            # Those of torchao 0.18 give themselves back when a copy on the device they are on is asked for.
            return f"a CPU cannot copy the states of trainer.optim={self.args.optim.value}"
        weights, free = self.model.get_memory_footprint(), psutil.virtual_memory().available
        needed = weights + sum(tensor.nbytes for tensor in moments)
        if needed > free:
            return f"a copy takes {needed / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free"
        return None


def write(later: list[Callable[[], None]], checkpoint: Path, limit: int, best_one: str | None) -> None:
    """Write a checkpoint; the job of the thread."""
    with checkpoint_folders.explain_full_disk(checkpoint.parent):
        while later:
            later.pop(0)()  # what is written frees its memory
        # Nobody waits here, so it may wait for the disk itself: no power cut takes the new one after older ones went.
        sync(checkpoint)
        checkpoint_folders.complete(checkpoint, limit, best_one)
