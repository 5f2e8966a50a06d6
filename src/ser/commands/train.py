"""ser train model=hubert_large"""  # noqa: D415

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import Progress
from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, TrainerCallback, set_seed

from ser import config, console
from ser.acceleration.accelerated import accelerated
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.acceleration.flops import flops_per_clip
from ser.corpora import CORPORA
from ser.data import audit
from ser.data.dataset import collator_for
from ser.data.prepared_corpus import PreparedCorpus, open_or_prepare
from ser.data.protocols import Splits, identity, split_corpus
from ser.errors import UserError
from ser.evaluation.scoring import score
from ser.files import write_json
from ser.models import checkpoint, freezing
from ser.models.hub import portable_source
from ser.out_of_memory import EVALUATION, TRAINING, explaining_out_of_memory
from ser.publish.push import check_before_training, push_finished
from ser.reports import figures, history, pooled, report
from ser.reports.protocol_text import describe_protocol
from ser.reports.provenance import Provenance, build_provenance
from ser.reports.write import write_report
from ser.runs import finished
from ser.runs.environment import environment
from ser.runs.folder import FINISHED, HISTORY, REPORT
from ser.runs.lists import check_same_lists, write_lists
from ser.runs.opened import BEFORE_TRAINING, how_to_go_on, interruptible, opened
from ser.runs.places import Place, Places, acquired
from ser.runs.plan import planned
from ser.runs.settings import plain
from ser.training import best, checkpoint_folders, tracking
from ser.training.alarms import EvaluationAtEnd, LossAlarm, warn_of_missing_classes
from ser.training.arguments import training_arguments
from ser.training.callbacks import Terminal
from ser.training.clock import Clock
from ser.training.datasets import inputs
from ser.training.effort import Effort, reset_peak_memory
from ser.training.guard import guard_trackers
from ser.training.trainer import EmotionTrainer, validation_metrics

log = logging.getLogger("ser")


def train(cfg: config.Train) -> float:
    """Fine-tune an encoder for each seed and fold that is asked for, and report on the test split.

    Returns:
        Unweighted average recall on the test split, of all folds and seeds together.
    """
    console.start_logging()
    console.quiet_transformers()
    enable_onednn_fp32_matmul()
    check_one_process()
    plan = planned(cfg)
    if cfg.hub.push:
        check_before_training(cfg.hub, plan)
    training_arguments(plan[0], Path(plan[0].output_dir))  # a mistake is told before any data are touched
    with acquired(cfg, plan) as places, interruptible(how_to_go_on(cfg)):
        with interruptible(BEFORE_TRAINING):
            prepared, splits_of_runs = data_of(cfg, plan, places)
        places.start_again(cfg.resume)
        for number, (run, place, splits) in enumerate(zip(plan, places.runs, splits_of_runs, strict=True), start=1):
            if len(plan) > 1:
                log.info("run %d of %d: %s", number, len(plan), run.output_dir)
            train_one(run, place, places, prepared, splits)
        if places.pooled is not None:
            pooled.write(cfg, places, prepared, splits_of_runs)
            places.pooled.take()
    console.print_report(places.done)
    if cfg.hub.push:
        push_finished(cfg.hub, places.done)
    return float(finished.json_of(places.done, REPORT)["unweighted_average_recall"])


def check_one_process() -> None:
    """Refuse several processes, before each of them writes where the others do.

    Raises:
        UserError: a launcher started more than this one.
    """
    if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UserError(
            f"WORLD_SIZE={processes}: `ser train` trains in one process; start it without torchrun or accelerate launch"
        )


def data_of(cfg: config.Train, plan: Sequence[config.Train], places: Places) -> tuple[PreparedCorpus, list[Splits]]:
    """The corpus, and the splits of each run; those of a run that goes on are the ones it began with."""
    prepared = open_or_prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
    splits_of_runs = [split_corpus(prepared.utterances, run.protocol) for run in plan]
    for splits in splits_of_runs:
        audit.check(splits, prepared.copies, cfg.on_leak)
    for run, place, splits in zip(plan, places.runs, splits_of_runs, strict=True):
        if cfg.resume:
            check_same_lists(place.work, run, splits)
    return prepared, splits_of_runs


def train_one(cfg: config.Train, place: Place, places: Places, prepared: PreparedCorpus, splits: Splits) -> None:
    """One run in its folder, unless it is finished already."""
    if place.work.is_finished():
        log.info("%s is finished already", place.final.path)
        return
    if place.work == place.final:
        places.remove_earlier_report()
    with opened(place.work, cfg):
        write_lists(place.work, splits)
        with checkpoint_folders.full_disk_told(place.work.path), explaining_out_of_memory(f"{TRAINING}; {EVALUATION}"):
            fine_tune(cfg, place.work.path, prepared, splits)
    if place.work != place.final:
        places.remove_earlier_report()
    place.take()
    if places.pooled is not None:
        checkpoint_folders.drop(place.final.path)


def fine_tune(cfg: config.Train, folder: Path, prepared: PreparedCorpus, splits: Splits) -> None:
    """The run itself, inside its folder."""
    started = time.time()
    log.info(
        "%s. %s", CORPORA[cfg.corpus.name].DESCRIPTION, describe_protocol(cfg.protocol, [splits], config.Split.test)
    )
    warn_of_missing_classes(splits, prepared.emotions)
    reset_peak_memory()
    set_seed(cfg.seed)
    classifier, extractor = checkpoint.build(cfg.model, prepared.emotions)
    adaptation = freezing.freeze_and_adapt(classifier, cfg.model)
    parameters = count_parameters(classifier)
    checkpoint_folders.check_space(folder, parameters, cfg.trainer, lora=cfg.model.lora_rank is not None)
    arguments = training_arguments(cfg, folder)
    clock, audio = Clock(), sum(row.duration for row in splits.train)
    read = inputs(cfg, classifier, extractor, prepared, splits, arguments, clock)
    # Every checkpoint-N says what it is; the step is written when it is saved.
    setattr(classifier.config, checkpoint.STAMP, {**stamp(cfg, splits, 0), checkpoint.INTERMEDIATE: True})
    with (
        accelerated(classifier, cfg.trainer, arguments, read) as read,
        tracking.tracked(cfg.tracking, folder, plain(asdict(cfg))),
        console.bar() as bar,
    ):
        flops = flops_per_clip(classifier, read.train, read.collator)
        effort = Effort(len(splits.train), audio, clock, parameters, flops)
        trainer = EmotionTrainer(
            model=classifier,
            args=arguments,
            data_collator=read.collator,
            train_dataset=read.train,
            eval_dataset=read.selection_split,
            compute_metrics=validation_metrics,
            callbacks=callbacks(cfg.trainer, effort, bar),
            processing_class=extractor,
            options=cfg.trainer,
        )
        fit(trainer, folder, cfg)
    # Scored in float32, as anybody who loads the checkpoint will: the Trainer leaves its autocast around the model.
    classifier = trainer.accelerator.unwrap_model(classifier, keep_fp32_wrapper=False)
    classifier = freezing.merge_lora(classifier, adaptation)
    trained_on = stamp(cfg, splits, int(trainer.state.best_global_step))
    checkpoint.save(classifier, extractor, folder / "checkpoint", trained_on)
    batch_size = cfg.trainer.per_device_eval_batch_size
    with explaining_out_of_memory(EVALUATION):
        scored = score(classifier, collator_for(extractor), prepared, splits.test, cfg.audio, batch_size)
    source = build_provenance(cfg.protocol, splits, config.Split.test, trained_on, prepared)
    rows = history.history(trainer.state.log_history)
    write_history(folder, rows, trained_on["step"], source, splits)
    spent = {**effort.spent(rows, trained_on["step"], folder), "seconds": round(time.time() - started, 1)}
    used = write_report(folder, report.build_report(scored, source), {**environment("train"), **spent}, prepared)
    write_json(folder / FINISHED, used)


def write_history(folder: Path, rows: list[history.Row], step: int, source: Provenance, splits: Splits) -> None:
    history.write(folder / HISTORY, rows, source.corpus, source.protocol, splits.selection_split.value)
    graph = figures.training_figure([rows], [step], splits.selection_split.value, source.run_title)
    figures.save(graph, folder / "training_graph")


def count_parameters(classifier: PreTrainedModel) -> dict[str, int]:
    """Count the parameters, `all` and `trained`, and write them to the log."""
    trained = sum(parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad)
    parameters = {"all": classifier.num_parameters(), "trained": trained}
    log.info("%s of %s parameters are trained", f"{trained:,}", f"{parameters['all']:,}")
    return parameters


def callbacks(trainer: config.Trainer, effort: Effort, bar: Progress) -> list[TrainerCallback]:
    """Return what follows training; a loss that is not finite is looked for first."""
    patience = trainer.early_stopping_patience
    stopping = [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]
    terminal = Terminal(bar, effort.clips, effort.audio)
    return [LossAlarm(), EvaluationAtEnd(), effort.clock, terminal, *stopping]


def fit(trainer: EmotionTrainer, folder: Path, cfg: config.Train) -> None:
    """Train, a resumed run from where it can go on; the best weights are in the model afterwards."""
    trainer.remove_callback(PrinterCallback)
    guard_trackers(trainer)
    newest = best.resume_point(folder) if cfg.resume else None
    if newest is not None:
        log.info("going on from %s", newest)
    elif cfg.resume:
        log.info("no checkpoint to go on from: the run starts again")
    if cfg.resume:
        checkpoint_folders.drop_after(folder, newest)
    with checkpoint_folders.full_disk_told(folder):
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)


def stamp(cfg: config.Train, splits: Splits, step: int) -> dict[str, Any]:
    """What the checkpoint says of itself, and what `ser evaluate` needs to score it."""
    return {
        "corpus": cfg.corpus.name,
        "protocol": plain(asdict(cfg.protocol)),
        "identity": identity(cfg.protocol, splits),
        "chosen_on": splits.selection_split.value,
        "audio": asdict(cfg.audio),
        "model": cfg.model.name,
        "pretrained": portable_source(cfg.model.pretrained),
        "seed": cfg.seed,
        "step": step,
    }
