"""ser train model=hubert_large"""  # noqa: D415

import json
import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import EarlyStoppingCallback, PrinterCallback, TrainingArguments, set_seed

from ser import config, console
from ser.commands.scoring import provenance, score
from ser.corpora import CORPORA
from ser.data import manifest
from ser.data.batches import Clips, collator_for
from ser.data.prepared import Prepared, ready
from ser.data.protocols import Split, identity, in_words, split
from ser.errors import UserError
from ser.files import write_json
from ser.models import adaptations, checkpoint
from ser.results import figures, history, page, report
from ser.results.environment import environment
from ser.training import run_folder, tracking
from ser.training.arguments import training_arguments
from ser.training.callbacks import Terminal
from ser.training.trainer import EmotionTrainer, validation_metrics

log = logging.getLogger("ser")


def train(cfg: config.Train) -> float:
    """Fine-tune an encoder, keep its best checkpoint, and report on the test list.

    Returns:
        Unweighted average recall on the test list.
    """
    console.start_logging()
    console.quiet_transformers()
    folder = Path(cfg.output_dir)
    run_folder.claim(folder, cfg)
    if run_folder.is_finished(folder) and cfg.resume:
        log.info("%s is finished already; nothing to do", folder)
        return finished_score(folder)
    arguments = training_arguments(cfg, folder)
    prepared = ready(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
    lists = split(prepared.utterances, cfg.protocol)
    folder.mkdir(parents=True, exist_ok=True)
    with run_folder.opened(folder, cfg):
        return run(cfg, folder, arguments, prepared, lists)


def run(cfg: config.Train, folder: Path, arguments: TrainingArguments, prepared: Prepared, lists: Split) -> float:
    """The run itself, inside its folder."""
    started = time.time()
    log.info("%s. %s", CORPORA[cfg.corpus.name].DESCRIPTION, in_words(cfg.protocol, lists, config.Side.test))
    set_seed(cfg.seed)
    classifier, extractor = checkpoint.build(cfg.model, prepared.emotions)
    adaptation = adaptations.adapt(classifier, cfg.model)
    trained = sum(parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad)
    log.info("%s of %s parameters are trained", f"{trained:,}", f"{classifier.num_parameters():,}")
    run_folder.check_space(folder, classifier.num_parameters(), trained, cfg.trainer.save_total_limit)
    collator = collator_for(extractor)
    with tracking.tracked(cfg.tracking, folder, run_folder.plain(asdict(cfg))), console.bar() as bar:
        trainer = EmotionTrainer(
            model=classifier,
            args=arguments,
            data_collator=collator,
            train_dataset=Clips(prepared, lists.train),
            eval_dataset=Clips(prepared, lists.side(lists.chosen_on)),
            compute_metrics=validation_metrics,
            callbacks=[Terminal(bar), *early_stopping(cfg.trainer)],
            head_learning_rate=cfg.trainer.head_learning_rate,
        )
        trainer.remove_callback(PrinterCallback)
        fit(trainer, folder, cfg)
    classifier = adaptations.merged(classifier, adaptation)
    step = int(trainer.state.best_global_step)
    trained_on = stamp(cfg, lists, step)
    checkpoint.save(classifier, extractor, folder / "checkpoint", trained_on)
    scored = score(classifier, collator, prepared, lists.test, cfg.trainer.per_device_eval_batch_size)
    source = provenance(cfg.protocol, lists, config.Side.test, trained_on)
    numbers = report.write(folder, scored, source)
    for side in config.Side:
        if lists.side(side):
            manifest.write(folder / f"{side.value}.csv", lists.side(side))
    rows = history.history(trainer.state.log_history)
    history.write(folder / "history.csv", rows, cfg.corpus.name, cfg.protocol.slug, lists.chosen_on.value)
    graph = figures.training_figure(rows, step, lists.chosen_on.value, source.run_title)
    figures.save(graph, folder / "training_graph.png")
    used = {**environment("train"), "seconds": round(time.time() - started, 1), "provenance": vars(source)}
    page.write(folder, source, numbers, used)
    write_json(folder / run_folder.FINISHED, used)
    console.print_report(folder)
    return numbers["unweighted_average_recall"]


def early_stopping(trainer: config.Trainer) -> list[EarlyStoppingCallback]:
    patience = trainer.early_stopping_patience
    return [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]


def fit(trainer: EmotionTrainer, folder: Path, cfg: config.Train) -> None:
    """Train, a resumed run from its newest whole checkpoint; the best weights are in the model afterwards."""
    newest = run_folder.last_checkpoint(folder) if cfg.resume else None
    if newest is not None:
        log.info("going on from %s", newest)
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    except (OSError, SafetensorError, RuntimeError) as error:
        # The writers of texts, weights and optimizer states each have their own way to say that the disk is full.
        if shutil.disk_usage(folder).free < 2**20:
            raise UserError(f"no space left on the disk of {folder}; make room and give resume=true") from error
        raise


def stamp(cfg: config.Train, lists: Split, step: int) -> dict[str, Any]:
    """What the checkpoint says of itself, and what `ser evaluate` needs to score it."""
    return {
        "corpus": cfg.corpus.name,
        "protocol": run_folder.plain(asdict(cfg.protocol)),
        "identity": identity(cfg.protocol, lists),
        "chosen_on": lists.chosen_on.value,
        "model": cfg.model.name,
        "pretrained": cfg.model.pretrained,
        "seed": cfg.seed,
        "step": step,
    }


def finished_score(folder: Path) -> float:
    content = json.loads((folder / "classification_report.json").read_text(encoding="utf-8"))
    return float(content["unweighted_average_recall"])
