"""How long training has taken, over all the sittings of a run."""

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Clock(TrainerCallback):
    """Writes `seconds` into every entry of the Trainer's log: training time so far, evaluations and saving included.

    The log is stored with each checkpoint, so a resumed run counts on from where it was saved.
    """

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        before = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)
        self.start = time.monotonic() - before

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.log_history:
            state.log_history[-1]["seconds"] = round(time.monotonic() - self.start, 3)
