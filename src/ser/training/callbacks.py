"""The callbacks of a run, and its progress in the terminal."""

import logging
import time
from typing import Any

from rich.progress import Progress, TaskID
from transformers import (
    EarlyStoppingCallback,
    IntervalStrategy,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from ser.training.alarms import EvaluationAtEnd, LossAlarm
from ser.training.throughput import RunCost
from ser.training.trainer import EmotionTrainer

log = logging.getLogger("ser")


class TerminalCallback(TrainerCallback):
    """Shows a progress bar of the optimizer steps with the throughput of this process, and logs each evaluation."""

    def __init__(self, bar: Progress, clips: int, seconds: float) -> None:
        """Store the number of clips of an epoch and their total seconds."""
        self.bar = bar
        self.clips, self.seconds_of_audio = clips, seconds
        self.loss = ""
        self.task: TaskID | None = None
        self.training: dict[str, float] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the bar at the first step, which is above zero for a resumed run."""
        if state.is_world_process_zero:
            self.task = self.bar.add_task("Training", total=state.max_steps, completed=state.global_step, note="")
            self.started, self.first_epoch = time.monotonic(), state.epoch or 0.0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.task is not None:
            epochs, seconds = (state.epoch or 0.0) - self.first_epoch, time.monotonic() - self.started
            speed = self.speed(epochs, seconds)
            self.bar.update(self.task, completed=state.global_step, note=f"{self.loss}{speed}")

    def speed(self, epochs: float, seconds: float) -> str:
        """Return clips per second and the real-time factor."""
        return f"{epochs * self.clips / seconds:.1f} clips/s, {epochs * self.seconds_of_audio / seconds:.0f}x real time"

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Store the training metrics for the line of the next evaluation, or log them where there is none."""
        if self.task is None or not logs or "loss" not in logs:
            return
        self.training = dict(logs)
        self.loss = f"loss {logs['loss']:.3f}, "
        if args.eval_strategy == IntervalStrategy.NO:
            log.info("step %d (epoch %.2f): %s", state.global_step, state.epoch or 0.0, self.describe_training())

    def describe_training(self) -> str:
        return f"train loss {self.training['loss']:.3f} accuracy {self.training['accuracy']:.3f}"

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Log the step and the metrics of the split that selects the checkpoint."""
        if self.task is None or not metrics:
            return
        training = f"{self.describe_training()}, " if self.training else ""
        log.info(
            "step %d (epoch %.2f): %sevaluation loss %.3f accuracy %.3f UAR %.3f",
            state.global_step,
            state.epoch or 0.0,
            training,
            metrics["eval_loss"],
            metrics["eval_accuracy"],
            metrics["eval_unweighted_average_recall"],
        )


class StopAfterEpoch(TrainerCallback):
    """Ends training after a number of epochs, under the learning-rate schedule of more of them."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if round(state.epoch or 0) >= self.epochs:
            control.should_training_stop = True


def add_callbacks(trainer: EmotionTrainer, cost: RunCost, bar: Progress) -> None:
    """Add the callbacks that show and stop training; the check of the loss comes first."""
    trainer.add_callback(LossAlarm())
    trainer.add_callback(EvaluationAtEnd())
    trainer.add_callback(TerminalCallback(bar, cost.clips, cost.audio_seconds))
    if (patience := trainer.options.early_stopping_patience) is not None:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=patience))
