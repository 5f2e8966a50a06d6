"""The number of epochs of a run, found on inner folds of its training speakers."""

import csv
import logging
from dataclasses import replace
from pathlib import Path
from statistics import mean

from ser import config, processes
from ser.data.inner_folds import split_inner_folds
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.evaluation.metrics import COUNT_METRICS
from ser.experiments.fitting import fit_model
from ser.files import remove, write_csv
from ser.runs.folder import INNER, INNER_TABLE
from ser.training.arguments import greater_is_better
from ser.training.model import build_model

log = logging.getLogger("ser")

COLUMNS = ("fold", "epoch", "eval_loss", *(f"eval_{name}" for name in COUNT_METRICS))

Row = dict[str, float]


def check_processes(cfg: config.Train) -> None:
    """Raise a UserError where several processes would have to train the inner folds."""
    if cfg.trainer.choose is config.Choose.inner and (size := processes.current().size) > 1:
        raise UserError(
            f"trainer.choose=inner: {size} processes train together, and inner folds are trained by one; find the "
            "number of epochs with one process, then give it as trainer.num_train_epochs with trainer.choose=last"
        )


def choose_epochs(cfg: config.Train, folder: Path, prepared: PreparedCorpus, splits: Splits) -> int:
    """Train on each inner fold as the run itself trains, and return the epoch that is best on average.

    The folds that are finished are kept in `folder`, so that an interrupted run goes on with the next one.

    Args:
        cfg: The config of the run.
        folder: The folder of the run; `inner.csv` there has the evaluations of all inner folds.
        prepared: The corpus.
        splits: The splits of the run; its test split is not used.

    Raises:
        UserError: The training split has too few speakers, or recordings without one.
    """
    table = folder / INNER_TABLE
    if not table.is_file():
        inner = split_inner_folds(splits, cfg.protocol, cfg.trainer.inner_folds)
        rows = []
        for fold, inner_splits in enumerate(inner, start=1):
            log.info("inner fold %d of %d", fold, len(inner))
            rows += evaluate_epochs(cfg, folder / INNER / f"fold{fold}", prepared, inner_splits, fold)
        write(table, rows)
    remove(folder / INNER)
    name = cfg.trainer.metric_for_best_model
    epoch, score = find_best_epoch(read(table), name)
    epochs = cfg.trainer.num_train_epochs
    log.info("epoch %d of %g has the best %s of the inner folds (mean %.3f)", epoch, epochs, name, score)
    return epoch


def evaluate_epochs(cfg: config.Train, folder: Path, prepared: PreparedCorpus, splits: Splits, fold: int) -> list[Row]:
    """Train on one inner fold, and return the evaluation of each epoch; a finished fold is read back."""
    table = folder / INNER_TABLE
    if not table.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        trainer_options = replace(cfg.trainer, choose=config.Choose.best, save_total_limit=1)
        tracking = replace(cfg.tracking, name=config.Tracker.none)
        cfg = replace(cfg, trainer=trainer_options, tracking=tracking)
        trainer, _ = fit_model(cfg, build_model(cfg, prepared.emotions), prepared, splits, folder)
        evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
        write(table, [{"fold": fold, **{name: entry[name] for name in COLUMNS[1:]}} for entry in evaluations])
    return read(table)


def find_best_epoch(rows: list[Row], metric: str) -> tuple[int, float]:
    """Return the epoch with the best mean of a metric over the inner folds, the first of equal ones, and that mean.

    >>> rows = [{"fold": 1, "epoch": 1, "eval_loss": 2.0}, {"fold": 2, "epoch": 1, "eval_loss": 1.0},
    ...         {"fold": 1, "epoch": 2, "eval_loss": 1.0}, {"fold": 2, "epoch": 2, "eval_loss": 1.5}]
    >>> find_best_epoch(rows, "loss")
    (2, 1.25)
    """
    epochs = sorted({round(row["epoch"]) for row in rows})
    means = {at: mean(row[f"eval_{metric}"] for row in rows if round(row["epoch"]) == at) for at in epochs}
    best = (max if greater_is_better(metric) else min)(epochs, key=means.__getitem__)
    return best, means[best]


def write(table: Path, rows: list[Row]) -> None:
    write_csv(table, COLUMNS, ([row[name] for name in COLUMNS] for row in rows))


def read(table: Path) -> list[Row]:
    with table.open(newline="", encoding="utf-8") as file:
        return [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]
