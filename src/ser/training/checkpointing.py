"""Writing of the Trainer's checkpoints, in the foreground or in a thread."""

import json
import logging
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ser import config, processes
from ser.config import Choose
from ser.files import sync, write_json
from ser.models.freezing import trained_state
from ser.models.stamp import STAMP
from ser.training import best, checkpoint_folders
from ser.training.async_writer import AsyncWriter, snapshot

log = logging.getLogger("ser")


class CheckpointingTrainer(Trainer):
    """A Trainer that can write its checkpoints in the background, and keeps the needed ones."""

    resumed_from: str | None = None

    def __init__(self, *args: Any, options: config.Trainer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options = options
        self.writer = AsyncWriter()
        self._later: list[Callable[[], None]] | None = None
        """The jobs of the thread for the current checkpoint; None in the foreground."""
        self.add_callback(IntervalCallback(self))

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        """Train; afterwards all checkpoints are on the disk and the first process's model has the selected weights."""
        output = None
        if resume_from_checkpoint is not None and checkpoint_folders.has_ended(Path(resume_from_checkpoint)):
            # The Trainer would train for one more step.
            self.state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / checkpoint_folders.STATE))
        else:
            self.resumed_from = resume_from_checkpoint
            with self.writer, best.refuse_pickles(resume_from_checkpoint):
                output = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        if self.options.choose is not Choose.best:
            self.state.best_global_step = self.state.global_step
        if self.is_world_process_zero() and not self.is_fsdp_enabled:  # `build.finish` loads the spread ones
            best.load_best(self.model, Path(self.args.output_dir), self.state)
        return output

    def _determine_best_metric(self, *args: Any, **kwargs: Any) -> bool:
        """Compare an evaluation with the best one before, where the best one is kept."""
        return self.options.choose is Choose.best and super()._determine_best_metric(*args, **kwargs)

    def interval(self) -> dict[str, float]:
        """Return the sums since the last entry of the log, which a checkpoint between two entries keeps."""
        [loss] = processes.sum_of([float(self._tr_loss)])
        return {"logged": self._globalstep_last_logged, "loss": loss / self.args.world_size}

    def go_on_with_interval(self, sums: dict[str, float]) -> None:
        """Restore the sums of `interval`, so that the next entry is that of an uninterrupted run."""
        self._globalstep_last_logged = int(sums["logged"])
        self._tr_loss += sums["loss"]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint: write the small files now; write the large ones now or copy them for the thread.

        Older checkpoints are deleted when it is complete. The Trainer's own limit is off, because it would not wait.
        Of several processes the first one writes; the others add the state of their random numbers.
        """
        self.writer.wait()  # one snapshot at a time: a slow disk delays training, but memory stays bounded
        checkpoint = checkpoint_folders.checkpoint_path(Path(self.args.output_dir), self.state.global_step)
        interval = self.interval()
        if first := self.is_world_process_zero():
            checkpoint_folders.begin(checkpoint)
            write_json(checkpoint / checkpoint_folders.INTERVAL, interval)
        processes.wait_for_all()  # until the folder is there
        if stamp := getattr(self.model.config, STAMP, None):
            stamp["step"] = self.state.global_step
        # The last checkpoint is written in the foreground, since no training is left to continue.
        self._later = [] if first and self.in_background and not self.control.should_training_stop else None
        try:
            super()._save_checkpoint(model, trial)
            later = self._later
        finally:
            self._later = None
        processes.wait_for_all()  # until every process has added its part
        if not first:
            return
        limit, best_one = self.options.save_total_limit, self.state.best_model_checkpoint
        if later is None:
            checkpoint_folders.complete(checkpoint, limit, best_one)
        else:
            self.writer.start(partial(write, later, checkpoint, limit, best_one))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Restore the random numbers; those of a checkpoint of another number of processes are drawn anew."""
        saved = len(list(Path(checkpoint).glob("rng_state*.pth"))) if checkpoint else 0
        if saved in (0, self.args.world_size):
            super()._load_rng_state(checkpoint)
            return
        log.info("a run of %d processes goes on in %d: dropout draws other numbers", saved, self.args.world_size)
        seed_process(self.args.seed, self.state.global_step, self.args.process_index)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save the weights; for a LoRA run only the trained ones."""
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
        """Whether the thread writes; decided at the first checkpoint, when the optimizer has a state."""
        if not self.options.background_checkpoints:
            return False
        if reason := self.why_not():
            log.info("trainer.background_checkpoints: training waits for its checkpoints, because %s", reason)
        return reason is None

    def why_not(self) -> str | None:
        """Return the reason for writing in the foreground; None where the thread can write."""
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:
            return "all processes write them"
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        moments = [value for value in state if isinstance(value, torch.Tensor)]
        if self.args.device.type == "cpu" and any(type(tensor) is not torch.Tensor for tensor in moments):
            # In torchao 0.18, a copy of a state to the same device returns the state itself.
            return f"a CPU cannot copy the states of trainer.optim={self.args.optim.value}"
        weights, free = self.model.get_memory_footprint(), psutil.virtual_memory().available
        needed = weights + sum(tensor.nbytes for tensor in moments)
        if needed > free:
            return f"a copy takes {needed / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free"
        return None


class IntervalCallback(TrainerCallback):
    """Restores the sums of a checkpoint after the Trainer has set its own to zero."""

    def __init__(self, trainer: CheckpointingTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.trainer.resumed_from is None:
            return
        path = Path(self.trainer.resumed_from) / checkpoint_folders.INTERVAL
        if path.is_file():  # not in a checkpoint of an earlier release
            self.trainer.go_on_with_interval(json.loads(path.read_text(encoding="utf-8")))


def seed_process(seed: int, step: int, rank: int) -> None:
    """Seed the generators of PyTorch, differently in each process: the dropouts of their clips are independent."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0]))


def write(later: list[Callable[[], None]], checkpoint: Path, limit: int, best_one: str | None) -> None:
    """Write a checkpoint; the job of the thread."""
    with checkpoint_folders.explain_full_disk(checkpoint.parent):
        while later:
            later.pop(0)()  # what is written frees its memory
        # Training does not wait here, so the disk is synced before older checkpoints are deleted, against power cuts.
        sync(checkpoint)
        checkpoint_folders.complete(checkpoint, limit, best_one)
