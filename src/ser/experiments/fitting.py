"""Train a model in a folder: the trainer with its callbacks, interruptible and resumable."""

from collections.abc import Callable
from pathlib import Path

from ser import config, console, ending, processes
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.runs.session import command_to_resume
from ser.training.build import build_trainer, fit, start_alone
from ser.training.callbacks import StopAfterEpoch, add_callbacks
from ser.training.model import Model
from ser.training.preemption import NOTICE, StopOnSignal, asked_anywhere
from ser.training.throughput import RunCost
from ser.training.trainer import EmotionTrainer


def fit_model(
    cfg: config.Train,
    model: Model,
    prepared: PreparedCorpus,
    splits: Splits,
    folder: Path,
    epochs: int | None = None,
    start: Callable[[Path | None], None] = start_alone,
) -> tuple[EmotionTrainer, RunCost]:
    """Train a model; afterwards it has the selected weights.

    Args:
        cfg: The config of one run.
        model: The result of `build_model`.
        prepared: The corpus.
        splits: The splits of the run.
        folder: The folder for checkpoints.
        epochs: The epoch after which training ends, under the schedule of all; None: the last one.
        start: Called with the checkpoint to continue from before training begins.

    Returns:
        The trainer and the cost of the run.
    """
    with build_trainer(cfg, model, prepared, splits, folder) as (trainer, cost), console.bar() as bar:
        add_callbacks(trainer, cost, bar)
        if epochs is not None:
            trainer.add_callback(StopAfterEpoch(epochs))
        with processes.explain_lost_process(command_to_resume(cfg)), ending.deferred(NOTICE) as asked:
            trainer.add_callback(StopOnSignal(asked_anywhere(asked)))
            fit(trainer, bool(cfg.resume), start)
    return trainer, cost
