"""The end of training after a signal: with the optimizer step, and a checkpoint of it."""

import signal
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ser import ending, processes

NOTICE = "training stops after this step, with a checkpoint; Ctrl-C again ends at once"


def asked_anywhere(asked: Callable[[], bool]) -> Callable[[], bool]:
    """Return a function like `asked` for all processes of a training, which call it at the same points.

    A launcher or a scheduler may send the signal to one of them, or to each at another step.
    """

    def check() -> bool:
        if found := processes.any_of(asked()):
            ending.interruption.note(signal.SIGTERM)  # where none came, the status is that of the others
        return found

    return check


class StopOnSignal(TrainerCallback):
    """Ends training with a checkpoint of the step at which it is asked to.

    What is due at this step comes first: an evaluation, and the end of an epoch. The checkpoint does not say that
    training has ended (`checkpoint_folders.has_ended`), so that a resumed run goes on.
    """

    def __init__(self, asked: Callable[[], bool]) -> None:
        """Store the function that returns whether training is to stop, such as that of `ser.ending.deferred`."""
        self.asked = asked

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save after this step; after the last one of an epoch, `on_epoch_end` does, where evaluations may be due."""
        if not float(state.epoch or 0.0).is_integer():
            self.save_if_asked(control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.save_if_asked(control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save where the signal came during an evaluation."""
        self.save_if_asked(control)

    def save_if_asked(self, control: TrainerControl) -> None:
        if self.asked():
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """End training, unless it ends by itself.

        Raises:
            KeyboardInterrupt: the checkpoint is written, or its thread still writes it.
        """
        if self.asked() and not control.should_training_stop:
            raise KeyboardInterrupt
