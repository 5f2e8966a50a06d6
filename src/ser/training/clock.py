"""How long training has taken, and at what."""

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

PHASES = ("data", "training", "evaluation", "checkpoints")


class Clock(TrainerCallback):
    """Writes `seconds` into every entry of the Trainer's log, and adds up what this sitting spent them on.

    `seconds` is training time so far, evaluations and saving included. The log is stored with each checkpoint, so a
    resumed run counts on from where it was saved.

    The Trainer calls back at the end of each thing it does: what passed since the call before belongs to that thing. On
    a GPU, which computes while Python goes on, a phase may pay for work that was ordered in the one before it.
    """

    def __init__(self) -> None:
        self.phases = dict.fromkeys(PHASES, 0.0)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        before = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)
        self.last = time.monotonic()
        self.start = self.last - before

    def lap(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[phase] += now - self.last
        self.last = now

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The Trainer has fetched all batches of the step by now."""
        self.lap("data")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.lap("training")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.lap("evaluation")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.lap("checkpoints")

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.log_history:
            state.log_history[-1]["seconds"] = round(time.monotonic() - self.start, 3)

    def in_words(self) -> str:
        """The shares of the phases, largest first."""
        whole = sum(self.phases.values()) or 1.0
        ordered = sorted(self.phases.items(), key=lambda phase: -phase[1])
        return ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in ordered)
