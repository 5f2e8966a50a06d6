"""Steps of training in this process, timed or profiled: `ser train` without its data lists, scores and report."""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import IntervalStrategy

from ser.apps import CONFIGS, SCHEMAS, checked
from ser.data.preparation import open_or_prepare
from ser.data.protocols import split_corpus
from ser.training.build import build_trainer
from ser.training.model import build_model
from ser.training.throughput import peak_memory

WARMUP = 5


class Steps(NamedTuple):
    """What some steps took."""

    seconds: float
    """A step."""
    clips: int
    """A step."""
    waited: float
    """Seconds that training stood still for a checkpoint."""
    memory: int


class Window(TrainerCallback):
    """Times some steps after the first `WARMUP`; the clock is read when the device has nothing left to do."""

    def __init__(self, steps: int, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self.steps, self.begin, self.end = steps, begin, end
        self.seconds = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == WARMUP:
            synchronize()
            self.begin()
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == WARMUP + self.steps:
            synchronize()
            self.seconds = time.perf_counter() - self.started
            self.end()
            control.should_training_stop = True


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def nothing() -> None:
    pass


def steps(
    overrides: Sequence[str], number: int, begin: Callable[[], None] = nothing, end: Callable[[], None] = nothing
) -> Steps:
    """Train `WARMUP` and `number` steps of a run with these words of the command line.

    Args:
        overrides: of `ser train`; the data are there.
        number: of the steps that are timed.
        begin: called before them.
        end: called after them.
    """
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        cfg = checked(
            compose("train", overrides=["tracking=none", "trainer.max_steps=100000", *overrides]), SCHEMAS["train"]
        )
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    window = Window(number, begin, end)
    with tempfile.TemporaryDirectory(dir=os.environ.get("SER_STEPS")) as folder:
        prepared = open_or_prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
        splits, model = split_corpus(prepared.utterances, cfg.protocol), build_model(cfg, prepared.emotions)
        with build_trainer(cfg, model, prepared, splits, Path(folder)) as (trainer, cost), trainer.writer:
            trainer.args.eval_strategy = IntervalStrategy.NO
            trainer.add_callback(window)
            Trainer.train(trainer)  # ours would read back the best weights: nothing is evaluated here
    batch = trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps
    waited = cost.timer.phases["checkpoints"]
    return Steps((window.seconds - waited) / number, batch, waited, peak_memory())
