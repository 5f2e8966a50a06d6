"""Write a whole report: the plain files, the figures and the page."""

from pathlib import Path
from typing import Any

from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.evaluation.confident_errors import ConfidentError, rank_errors_by_confidence
from ser.evaluation.predictions import SplitPredictions
from ser.reports import history, html_report, tables
from ser.reports.history import Row
from ser.reports.provenance import Provenance
from ser.reports.report import Report
from ser.runs.folder import HISTORY


def write_report(folder: Path, report: Report, used: dict[str, Any], prepared: PreparedCorpus) -> dict[str, Any]:
    """Write all files of a report; the figures of training, if there are any, are in `folder` already.

    Returns:
        The content of environment.json: `used` and the provenance.
    """
    tables.write(folder, report)
    html_report.write(folder, report, used, confident_errors(report.predictions, prepared))
    return {**used, "provenance": report.provenance.to_report()}


def confident_errors(predictions: SplitPredictions, prepared: PreparedCorpus) -> list[ConfidentError]:
    """Return the most confident wrong predictions with their recordings."""
    chosen = rank_errors_by_confidence(predictions)
    rows = prepared.indices([predictions.utterances[index] for index in chosen])
    return [
        ConfidentError(
            predictions.utterances[index],
            predictions.labels[index],
            float(predictions.probabilities[index].max()),
            prepared.audio.samples(row),
        )
        for index, row in zip(chosen, rows, strict=True)
    ]


def write_history(folder: Path, rows: list[Row], provenance: Provenance, splits: Splits) -> None:
    """Write history.csv and the figure of training."""
    from ser.reports import figures  # imports Matplotlib, which nothing before the end of training needs

    evaluated = splits.evaluated_split.value if splits.evaluated_split else ""
    history.write(folder / HISTORY, rows, provenance.corpus, provenance.protocol, evaluated)
    assert provenance.step is not None
    graph = figures.training_figure([rows], [provenance.step], evaluated, provenance.run_title)
    figures.save(graph, folder / "training_graph")
