"""Detection of failing runs during training, with advice."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ser.config import Split
from ser.data.audit import describe_missing_emotions
from ser.data.protocols import Splits
from ser.errors import UserError

log = logging.getLogger("ser")

PATIENCE = 3
"""Number of successive evaluations with one predicted class for all clips before a warning is logged."""
ADVICE = "try trainer.warmup_steps=0.1, a lower trainer.learning_rate (now {rate}) or trainer.precision=fp32"


class LossAlarm(TrainerCallback):
    """Stops a run whose loss is not finite: its weights would be NaN from then on."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Stop before the weights of this step are saved; evaluations are logged before the save as well.

        With fp16, the gradient scaler skips a step that overflows and continues with a smaller scale. A training loss
        may then be infinite once, so only the evaluation loss is checked.
        """
        for name, value in (logs or {}).items():
            is_loss = name == "eval_loss" or (name == "loss" and not args.fp16)
            if is_loss and not math.isfinite(value):
                which = "evaluation" if name == "eval_loss" else "training"
                raise UserError(
                    f"{args.output_dir}: the loss of {which} is {value} at step {state.global_step}, and cannot "
                    f"recover; {ADVICE.format(rate=args.learning_rate)}, with overwrite=true"
                )


class EvaluationAtEnd(TrainerCallback):
    """Evaluates and saves at the last step for any `eval_steps`; transformers itself does so only since 5.1."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= state.max_steps and args.save_strategy == "steps":
            control.should_save = True
            control.should_evaluate = args.eval_strategy == "steps"


class OneClassAlarm:
    """Warns once where several successive evaluations predict one class for all clips."""

    def __init__(self, labels: Mapping[int, str]) -> None:
        self.labels = labels
        self.count = 0

    def look(self, logits: npt.NDArray[Any], rate: float) -> None:
        """Check the logits `(clips, classes)` of an evaluation."""
        classes = np.unique(logits.argmax(axis=-1))
        self.count = self.count + 1 if len(classes) == 1 and len(logits) > 1 else 0
        if self.count == PATIENCE:
            log.warning(
                "the last %d evaluations predict %s for every clip; %s",
                PATIENCE,
                self.labels[int(classes[0])],
                ADVICE.format(rate=rate),
            )


def warn_of_missing_classes(splits: Splits, labels: Sequence[str]) -> None:
    """Warn of emotions without a clip in a split: they are not learned, or limit the UAR."""
    present = splits.train.distinct("emotion")
    if missing := [label for label in labels if label not in present]:
        log.warning("warning: the train split has no clip of %s, which is not learned", ", ".join(missing))
    for split in dict.fromkeys((splits.evaluated_split or Split.test, Split.test)):
        for sentence in describe_missing_emotions([splits], split, labels):
            log.warning("warning: %s", sentence)
