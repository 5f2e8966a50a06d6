"""Construction and training of the trainer of a run, shared by `ser train` and the benchmarks."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from transformers import IntervalStrategy, PreTrainedModel, PrinterCallback

from ser import config
from ser.acceleration.accelerated import accelerated
from ser.acceleration.cached_features import CachedFeatureCollator
from ser.acceleration.flops import flops_per_clip
from ser.augmentation.draw import Augmenter
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.models import freezing
from ser.training import best, checkpoint_folders
from ser.training.arguments import build_arguments
from ser.training.checkpointing import seed_process
from ser.training.datasets import build_datasets
from ser.training.distillation import open_teachers
from ser.training.evaluating import validation_metrics
from ser.training.guard import guard_trackers
from ser.training.model import Model, build_model, leaves_out_parameters
from ser.training.throughput import PhaseTimer, RunCost
from ser.training.trainer import EmotionTrainer

log = logging.getLogger("ser")


@contextmanager
def build_trainer(
    cfg: config.Train, model: Model, prepared: PreparedCorpus, splits: Splits, folder: Path
) -> Iterator[tuple[EmotionTrainer, RunCost]]:
    """Build the datasets and the trainer of a run; training is accelerated inside the context.

    Args:
        cfg: The config of one run.
        model: The result of `build_model`.
        prepared: The corpus.
        splits: The splits of the run's fold.
        folder: The folder for checkpoints.

    Yields:
        The trainer, and the cost of the run; its timer is a callback of the trainer.
    """
    arguments, timer = build_arguments(cfg, folder), PhaseTimer()
    started = time.monotonic()
    inputs = build_datasets(cfg, model, prepared, splits, bf16=arguments.bf16)
    augmenter = Augmenter(cfg.augment, cfg.seed, inputs.train) if cfg.augment.changes_clips else None
    if isinstance(inputs.collator, CachedFeatureCollator):
        timer.phases["features"] = time.monotonic() - started
    if arguments.ddp_find_unused_parameters is None:
        arguments.ddp_find_unused_parameters = leaves_out_parameters(model.classifier)
    if inputs.evaluated is None:
        arguments.eval_strategy = IntervalStrategy.NO
    with accelerated(model.classifier, cfg.trainer, arguments, inputs) as inputs:
        flops = flops_per_clip(model.classifier, inputs.train, inputs.collator)
        trainer = EmotionTrainer(
            model=model.classifier,
            args=arguments,
            data_collator=inputs.collator,
            train_dataset=inputs.train,
            eval_dataset=inputs.evaluated,
            compute_metrics=validation_metrics,
            callbacks=[timer],
            processing_class=model.extractor,
            options=cfg.trainer,
            corpora=splits.train.codes("corpus")[0].astype(np.int64),
            augmenter=augmenter,
            teachers=open_teachers(cfg, prepared, splits, model.extractor),
        )
        trainer.remove_callback(PrinterCallback)
        if not trainer.is_world_process_zero():
            seed_process(cfg.seed, 0, arguments.process_index)
        audio_seconds = math.fsum(splits.train.numbers("duration"))
        yield trainer, RunCost(len(splits.train), audio_seconds, timer, model.parameters, flops)


def start_alone(checkpoint: Path | None) -> None:
    """Begin at a checkpoint without other processes."""


def fit(trainer: EmotionTrainer, resume: bool, start: Callable[[Path | None], None] = start_alone) -> None:
    """Train the model; afterwards it has the weights of the selected checkpoint.

    Args:
        trainer: The trainer of `build_trainer`, with its callbacks.
        resume: Whether to continue from the newest usable checkpoint, if there is one.
        start: Called with this checkpoint before training begins; other processes begin with it.
    """
    guard_trackers(trainer)
    folder = Path(trainer.args.output_dir)
    newest = best.find_resume_point(folder) if resume else None
    if newest is not None:
        log.info("resuming from %s", newest)
    elif resume:
        log.info("no checkpoint to resume from: the run starts from its first step")
    if resume:
        checkpoint_folders.delete_after(folder, newest)
    if newest is None or not checkpoint_folders.has_ended(newest):
        start(newest)
    with checkpoint_folders.explain_full_disk(folder):
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)


def finish(cfg: config.Train, trainer: EmotionTrainer, model: Model, emotions: Sequence[str]) -> PreTrainedModel:
    """Return the trained classifier in float32, with its LoRA weights merged.

    The Trainer leaves the model wrapped in autocast, but a loaded checkpoint computes in float32. Where FSDP has spread
    the weights over the processes, they are read from the best checkpoint.
    """
    if trainer.is_fsdp_enabled:
        model = build_model(cfg, emotions)
        best.load_best(model.classifier, Path(trainer.args.output_dir), trainer.state)
    classifier = trainer.accelerator.unwrap_model(model.classifier, keep_fp32_wrapper=False)
    merged: PreTrainedModel = freezing.merge_lora(classifier, model.adaptation)
    return merged
