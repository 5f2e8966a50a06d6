"""ser train model=hubert_large"""  # noqa: D415

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, set_seed

from ser import config, console
from ser.commands import pooling
from ser.commands.push import check_beforehand, push_finished
from ser.commands.scoring import provenance, score, write_report
from ser.corpora import CORPORA
from ser.data import audit, manifest
from ser.data.batches import collator_for
from ser.data.prepared import Prepared, ready
from ser.data.protocols import Split, identity, split
from ser.data.wording import in_words
from ser.files import write_json
from ser.models import adaptations, checkpoint
from ser.models.arithmetic import faster_float32
from ser.models.sources import lasting
from ser.out_of_memory import EVALUATION, TRAINING, explaining_out_of_memory
from ser.results import figures, history, report, runs
from ser.results.environment import environment
from ser.results.report import Provenance
from ser.training import checkpoints, compiling, run_folder, tracking
from ser.training.arguments import training_arguments
from ser.training.attention import attending
from ser.training.callbacks import Terminal
from ser.training.clock import Clock
from ser.training.dropout import quick_dropout
from ser.training.effort import Effort
from ser.training.flops import flops_of_a_clip
from ser.training.inputs import inputs, on_gpu
from ser.training.plan import planned
from ser.training.trainer import EmotionTrainer, validation_metrics

log = logging.getLogger("ser")


def train(cfg: config.Train) -> float:
    """Fine-tune an encoder for each seed and fold that is asked for, and report on the test lists.

    Returns:
        Unweighted average recall on the test list, of all folds and seeds together.
    """
    console.start_logging()
    console.quiet_transformers()
    faster_float32()
    plan = planned(cfg)
    if cfg.hub.push:
        check_beforehand(cfg.hub, plan)
    if plan[0].output_dir == cfg.output_dir:
        run_folder.claim(Path(cfg.output_dir), plan[0])
    else:
        run_folder.claim_all(Path(cfg.output_dir), plan)
    training_arguments(plan[0], Path(plan[0].output_dir))  # a mistake is told before any data are touched
    prepared = ready(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
    lists = [split(prepared.utterances, run.protocol) for run in plan]
    for of_run in lists:
        audit.check(of_run, prepared.copies, cfg.audit)
    for number, (run, of_run) in enumerate(zip(plan, lists, strict=True), start=1):
        if len(plan) > 1:
            log.info("run %d of %d: %s", number, len(plan), run.output_dir)
        train_one(run, prepared, of_run, only_one=len(plan) == 1)
    if len(plan) > 1:
        pooling.write(cfg, plan, prepared, lists)
    done = Path(cfg.output_dir if len(plan) > 1 else plan[0].output_dir)
    console.print_report(done)
    if cfg.hub.push:
        push_finished(cfg.hub, done)
    return float(runs.json_of(done, runs.REPORT)["unweighted_average_recall"])


def train_one(cfg: config.Train, prepared: Prepared, lists: Split, only_one: bool) -> None:
    """One run in its folder, unless it is finished already."""
    folder = Path(cfg.output_dir)
    if run_folder.is_finished(folder) and cfg.resume:
        log.info("%s is finished already", folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with run_folder.opened(folder, cfg):
        fine_tune(cfg, folder, prepared, lists)
    if not only_one:
        checkpoints.drop(folder)


def fine_tune(cfg: config.Train, folder: Path, prepared: Prepared, lists: Split) -> None:
    """The run itself, inside its folder."""
    started = time.time()
    log.info("%s. %s", CORPORA[cfg.corpus.name].DESCRIPTION, in_words(cfg.protocol, [lists], config.Side.test))
    set_seed(cfg.seed)
    classifier, extractor = checkpoint.build(cfg.model, prepared.emotions)
    adaptation = adaptations.adapt(classifier, cfg.model)
    if cfg.trainer.compile:
        compiling.check(classifier)
    trained = sum(parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad)
    parameters = {"all": classifier.num_parameters(), "trained": trained}
    log.info("%s of %s parameters are trained", f"{trained:,}", f"{parameters['all']:,}")
    checkpoints.check_space(folder, parameters["all"], trained, cfg.trainer)
    arguments = training_arguments(cfg, folder)
    clock, audio = Clock(), sum(row.duration for row in lists.train)
    read = inputs(cfg, classifier, extractor, prepared, lists, arguments, clock)
    if cfg.trainer.resident:
        read = on_gpu(read, arguments)
    flops = flops_of_a_clip(classifier, read.train, read.collator)
    effort = Effort(len(lists.train), audio, clock, parameters, flops)
    with tracking.tracked(cfg.tracking, folder, run_folder.plain(asdict(cfg))), console.bar() as bar:
        trainer = EmotionTrainer(
            model=classifier,
            args=arguments,
            data_collator=read.collator,
            train_dataset=read.train,
            eval_dataset=read.chosen_on,
            compute_metrics=validation_metrics,
            callbacks=[effort.clock, Terminal(bar, effort.clips, effort.audio), *early_stopping(cfg.trainer)],
            options=cfg.trainer,
        )
        trainer.remove_callback(PrinterCallback)
        # A compiled graph draws its dropouts inside.
        quick = quick_dropout(cfg.trainer.quick_dropout and not cfg.trainer.compile, classifier.device)
        with attending(classifier, cfg.trainer.attention, arguments.bf16), graphs(classifier, cfg.trainer), quick:
            fit(trainer, folder, cfg)
    # Scored in float32, as anybody who loads the checkpoint will: the Trainer leaves its autocast around the model.
    classifier = trainer.accelerator.unwrap_model(classifier, keep_fp32_wrapper=False)
    classifier = adaptations.merged(classifier, adaptation)
    trained_on = stamp(cfg, lists, int(trainer.state.best_global_step))
    checkpoint.save(classifier, extractor, folder / "checkpoint", trained_on)
    batch_size = cfg.trainer.per_device_eval_batch_size
    with explaining_out_of_memory(EVALUATION):
        scored = score(classifier, collator_for(extractor), prepared, lists.test, cfg.audio, batch_size)
    source = provenance(cfg.protocol, lists, config.Side.test, trained_on, prepared)
    write_lists(folder, lists)
    rows = history.history(trainer.state.log_history)
    write_history(folder, rows, trained_on["step"], source, lists)
    spent = {**effort.spent(rows, trained_on["step"], folder), "seconds": round(time.time() - started, 1)}
    used = write_report(folder, report.measured(scored, source), {**environment("train"), **spent}, prepared)
    write_json(folder / run_folder.FINISHED, used)


def write_lists(folder: Path, lists: Split) -> None:
    for side in config.Side:
        if lists.side(side):
            manifest.write(folder / f"{side.value}.csv", lists.side(side))


def write_history(folder: Path, rows: list[history.Row], step: int, source: Provenance, lists: Split) -> None:
    history.write(folder / "history.csv", rows, source.corpus, source.protocol, lists.chosen_on.value)
    graph = figures.training_figure([rows], [step], lists.chosen_on.value, source.run_title)
    figures.save(graph, folder / "training_graph")


def early_stopping(trainer: config.Trainer) -> list[EarlyStoppingCallback]:
    patience = trainer.early_stopping_patience
    return [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]


def graphs(classifier: PreTrainedModel, trainer: config.Trainer) -> AbstractContextManager[None]:
    """The compiled encoder, where one is asked for."""
    if not trainer.compile:
        return nullcontext()
    return compiling.compiled(classifier, trainer.per_device_train_batch_size, backend="inductor")


def fit(trainer: EmotionTrainer, folder: Path, cfg: config.Train) -> None:
    """Train, a resumed run from where it can go on; the best weights are in the model afterwards."""
    newest = checkpoints.last(folder) if cfg.resume else None
    if newest is not None:
        log.info("going on from %s", newest)
    if cfg.resume and trainer.is_world_process_zero():
        checkpoints.drop_after(folder, newest)
    with checkpoints.full_disk_told(folder), explaining_out_of_memory(f"{TRAINING}; {EVALUATION}"):
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)


def stamp(cfg: config.Train, lists: Split, step: int) -> dict[str, Any]:
    """What the checkpoint says of itself, and what `ser evaluate` needs to score it."""
    return {
        "corpus": cfg.corpus.name,
        "protocol": run_folder.plain(asdict(cfg.protocol)),
        "identity": identity(cfg.protocol, lists),
        "chosen_on": lists.chosen_on.value,
        "audio": asdict(cfg.audio),
        "model": cfg.model.name,
        "pretrained": lasting(cfg.model.pretrained),
        "seed": cfg.seed,
        "step": step,
    }
