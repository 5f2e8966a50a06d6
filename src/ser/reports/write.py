"""Write a whole report: the plain files, the figures and the page."""

from pathlib import Path
from typing import Any

from ser.data.prepared_corpus import PreparedCorpus
from ser.evaluation.mistakes import Mistake, most_confident
from ser.evaluation.scored import Scored
from ser.reports import html_report, tables
from ser.reports.report import Report


def write_report(folder: Path, measured: Report, used: dict[str, Any], prepared: PreparedCorpus) -> dict[str, Any]:
    """Write all files of a report; the figures of training, if there was any, are in `folder` already.

    Returns:
        What environment.json holds of a finished run: `used` and the provenance.
    """
    tables.write(folder, measured)
    html_report.write(folder, measured, used, mistakes(measured.scored, prepared))
    return {**used, "provenance": vars(measured.provenance)}


def mistakes(scored: Scored, prepared: PreparedCorpus) -> list[Mistake]:
    """The most confident wrong answers, with their audio."""
    chosen = most_confident(scored)
    rows = prepared.indices([scored.utterances[index] for index in chosen])
    return [
        Mistake(
            scored.utterances[index],
            scored.prediction[index],
            float(scored.probabilities[index].max()),
            prepared.audio.samples(row),
        )
        for index, row in zip(chosen, rows, strict=True)
    ]
