"""ser train model=hubert_large"""  # noqa: D415

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel

from ser import config, console, processes
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.augmentation.draw import open_folders
from ser.data import audit
from ser.data.preparation import open_or_prepare, resolve
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits, split_corpus
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.scoring import Scorer
from ser.experiments.fitting import fit_model
from ser.experiments.follow import follow, start_followers
from ser.experiments.inner import check_processes, choose_epochs
from ser.files import write_json
from ser.models import checkpoint
from ser.out_of_memory import EVALUATION, TRAINING, explaining_out_of_memory
from ser.publish.push import check_before_training, push_finished
from ser.reports import history, pooled
from ser.reports.protocol_text import describe_protocol
from ser.reports.report import build_report
from ser.reports.sources import build_provenance
from ser.reports.write import write_history, write_report
from ser.runs import reading
from ser.runs.environment import describe_environment
from ser.runs.folder import CHECKPOINT, FINISHED, REPORT
from ser.runs.plan import expand_runs
from ser.runs.session import BEFORE_TRAINING, explain_interruption, how_to_resume, open_run
from ser.runs.settings import to_plain
from ser.runs.splits import check_same_splits, write_splits
from ser.runs.targets import RunTarget, RunTargets, acquire
from ser.runs.trained_data import build_stamp
from ser.training import checkpoint_folders, tracking
from ser.training.alarms import warn_of_missing_classes
from ser.training.arguments import build_arguments, process_timeout
from ser.training.build import finish
from ser.training.model import Model, build_model
from ser.training.throughput import reset_peak_memory

log = logging.getLogger("ser")


def train(cfg: config.Train) -> float:
    """Fine-tune an encoder for each seed and fold, and report on the test split.

    Returns:
        Unweighted average recall on the test split, of all folds and seeds together.
    """
    console.start_logging()
    console.quiet_transformers()
    enable_onednn_fp32_matmul()
    group = processes.join(process_timeout(cfg.trainer))
    if group.rank > 0:
        return follow(cfg, group)
    with group.leading():
        return lead(cfg)


def lead(cfg: config.Train) -> float:
    """Decide, train and write; other processes of the training, if there are any, follow."""
    build_arguments(cfg, Path(cfg.output_dir))  # an error comes before any data are read
    check_processes(cfg)
    open_folders(cfg.augment)
    with explain_interruption(BEFORE_TRAINING):
        cfg = replace(cfg, protocol=resolve(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir))
    plan = expand_runs(cfg)
    if cfg.hub.push:
        check_before_training(cfg.hub, plan)
    with acquire(cfg, plan) as targets, explain_interruption(how_to_resume(cfg)):
        with explain_interruption(BEFORE_TRAINING):
            prepared, splits_of_runs = load_data(cfg, plan, targets)
        targets.start_again(bool(cfg.resume))
        for number, (run, target, splits) in enumerate(zip(plan, targets.runs, splits_of_runs, strict=True), start=1):
            if len(plan) > 1:
                log.info("run %d of %d: %s", number, len(plan), run.output_dir)
            train_one(run, target, targets, prepared, splits)
        if targets.pooled is not None:
            pooled.write(cfg, targets, prepared, splits_of_runs)
            targets.pooled.move_into_place()
    console.print_report(targets.done)
    if cfg.hub.push:
        push_finished(cfg.hub, targets.done)
    return float(reading.read_json(targets.done, REPORT)["unweighted_average_recall"])


def load_data(
    cfg: config.Train, plan: Sequence[config.Train], targets: RunTargets
) -> tuple[PreparedCorpus, list[Splits]]:
    """Load the corpus and the splits of each run; a run that is resumed keeps the splits that it began with."""
    prepared = open_or_prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
    splits_of_runs = [split_corpus(prepared.utterances, run.protocol, run.trainer.choose) for run in plan]
    audit.check_leaks(splits_of_runs, prepared.duplicates, cfg.on_leak)
    for run, target, splits in zip(plan, targets.runs, splits_of_runs, strict=True):
        if cfg.resume:
            check_same_splits(target.work, run, splits)
    return prepared, splits_of_runs


def train_one(
    cfg: config.Train, target: RunTarget, targets: RunTargets, prepared: PreparedCorpus, splits: Splits
) -> None:
    """One run in its folder, unless it is finished already."""
    if target.work.is_finished():
        log.info("%s is finished already", target.final.path)
        return
    if target.work == target.final:
        targets.remove_earlier_report()
    with open_run(target.work, cfg):
        write_splits(target.work, splits)
        with (
            checkpoint_folders.explain_full_disk(target.work.path),
            explaining_out_of_memory(f"{TRAINING}; {EVALUATION}"),
        ):
            fine_tune(cfg, target.work.path, prepared, splits)
    if target.work != target.final:
        targets.remove_earlier_report()
    target.move_into_place()
    if targets.pooled is not None:
        checkpoint_folders.delete_checkpoints(target.final.path)


def fine_tune(cfg: config.Train, folder: Path, prepared: PreparedCorpus, splits: Splits) -> None:
    """Train one run in its folder, save its checkpoint and report on the test split."""
    started = time.time()
    reset_peak_memory()
    log_data(cfg, prepared, splits)
    epochs = choose_epochs(cfg, folder, prepared, splits) if cfg.trainer.choose is config.Choose.inner else None
    model = build_model(cfg, prepared.emotions)
    checkpoint_folders.check_space(folder, model.parameters, cfg.trainer, lora=cfg.model.lora_rank is not None)
    model.stamp(build_stamp(cfg, prepared.facts, splits, step=0))
    with tracking.track(cfg.tracking, folder, to_plain(asdict(cfg))):
        start = partial(start_followers, cfg, folder, splits)
        trainer, cost = fit_model(cfg, model, prepared, splits, folder, epochs, start)
    classifier, step = finish(cfg, trainer, model, prepared.emotions), int(trainer.state.best_global_step)
    stamp = build_stamp(cfg, prepared.facts, splits, step)
    checkpoint.save(classifier, model.extractor, folder / CHECKPOINT, stamp)
    predictions = predict_test(cfg, classifier, model, prepared, splits)
    provenance = build_provenance(cfg.protocol, splits, config.Split.test, stamp, prepared)
    rows = history.tabulate_log(trainer.state.log_history)
    write_history(folder, rows, provenance, splits)
    spent = {**cost.summary(rows, stamp["step"], folder), "seconds": round(time.time() - started, 1)}
    used = {**describe_environment("train"), **spent}
    write_json(folder / FINISHED, write_report(folder, build_report(predictions, provenance), used, prepared))


def log_data(cfg: config.Train, prepared: PreparedCorpus, splits: Splits) -> None:
    """Describe corpus and protocol in the log, with a warning for each emotion that a split lacks."""
    protocol = describe_protocol(cfg.protocol, [splits], config.Split.test)
    log.info("%s. %s", prepared.facts.description, protocol)
    warn_of_missing_classes(splits, prepared.emotions)


def predict_test(
    cfg: config.Train, classifier: PreTrainedModel, model: Model, prepared: PreparedCorpus, splits: Splits
) -> SplitPredictions:
    """Predict the test split with the saved weights."""
    with explaining_out_of_memory(EVALUATION):
        scorer = Scorer.from_classifier(
            classifier, model.extractor, cfg.audio.trim, cfg.trainer.per_device_eval_batch_size
        )
        return scorer.predict(prepared, splits.test)
