"""The report on several runs of one command: folds and seeds."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import numpy as np

from ser import config
from ser.data import manifest
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.evaluation.metrics import COUNT_METRICS
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.variation import measure_variation
from ser.files import write_csv, write_json
from ser.models import checkpoint
from ser.reports import history, report
from ser.reports.provenance import Provenance
from ser.reports.sources import pool_provenances
from ser.reports.write import write_report
from ser.rows import Rows
from ser.runs.environment import describe_environment
from ser.runs.finished import Run, read
from ser.runs.folder import CHECKPOINT, FINISHED, HISTORY, TEST
from ser.runs.settings import write_config
from ser.runs.targets import RunTargets


def write(cfg: config.Train, targets: RunTargets, prepared: PreparedCorpus, splits_of_runs: Sequence[Splits]) -> None:
    """Write the report of all runs into the folder above theirs."""
    from ser.reports import figures  # imports Matplotlib, which nothing before the end of training needs

    assert targets.pooled is not None
    folder = targets.pooled.work.path
    finished = [read(target.final.path) for target in targets.runs]
    scored = pool_predictions(finished)
    source = pool_provenance(cfg, finished, splits_of_runs, prepared)
    rows = [run_row(run) for run in finished]
    write_csv(folder / "runs.csv", rows[0].keys(), (row.values() for row in rows))
    tested = Rows.join(Utterance, [splits.test for splits in splits_of_runs])
    manifest.write(folder / TEST, tested.unique("path"))
    histories = [history.read(run.folder / HISTORY) for run in finished]
    steps, evaluated = [run.report["step"] for run in finished], splits_of_runs[0].evaluated_split
    figures.save(
        figures.training_figure(histories, steps, evaluated.value if evaluated else "", source.run_title),
        folder / "training_graph",
    )
    training = [run.used["training"] for run in finished]
    spent = {
        "seconds": round(sum(run.used["seconds"] for run in finished), 1),
        "training": {key: round(mean(one[key] for one in training), 2) for key in common_keys(training)},
        "parameters": finished[0].used["parameters"],
        "checkpoint_bytes": finished[0].used["checkpoint_bytes"],
    }
    built = report.build_report(scored, source, measure_variation(rows))
    used = write_report(folder, built, {**describe_environment("train"), **spent}, prepared)
    write_config(folder, cfg)
    write_json(folder / FINISHED, used)


def pool_predictions(finished: Sequence[Run]) -> SplitPredictions:
    """Concatenate the predictions of several runs."""
    return SplitPredictions(
        Rows.join(Utterance, [Rows.of(Utterance, run.predictions.utterances) for run in finished]),
        finished[0].predictions.emotions,
        np.concatenate([run.predictions.probabilities for run in finished]),
        [origin(run) for run in finished for _ in run.predictions.utterances],
    )


def origin(run: Run) -> tuple[int, int | None]:
    """Return seed and fold."""
    return run.report["seed"], run.report["protocol"]["fold"]


def common_keys(training: Sequence[dict[str, float]]) -> list[str]:
    """Return the keys of all runs: the share of the peak is missing on a GPU whose peak is unknown."""
    return [key for key in training[0] if all(key in one for one in training)]


def pool_provenance(
    cfg: config.Train, finished: Sequence[Run], splits_of_runs: Sequence[Splits], prepared: PreparedCorpus
) -> Provenance:
    """Where the pooled number comes from; the splits of a fold are the same for every seed."""
    sources = [Provenance.from_report(run.report) for run in finished]
    splits = {source.protocol["fold"]: of_run for source, of_run in zip(sources, splits_of_runs, strict=True)}
    stamp = checkpoint.stamp_of(finished[0].folder / CHECKPOINT)
    return pool_provenances(sources, cfg.protocol, [*splits.values()], stamp, prepared)


def run_row(run: Run) -> dict[str, Any]:
    """Return the row of a run in runs.csv."""
    return {
        "corpus": run.report["corpus"],
        "protocol": run.report["protocol"]["name"],
        "seed": run.report["seed"],
        "fold": run.report["protocol"]["fold"],
        "clips": run.report["clips"],
        "step": run.report["step"],
        "seconds": run.used["seconds"],
        **{name: run.report[name] for name in COUNT_METRICS},
    }
