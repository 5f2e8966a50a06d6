"""The plain files of a report: predictions, text, JSON and CSV tables, figures."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sklearn.metrics import classification_report

from ser.evaluation import metrics
from ser.evaluation.scored import Scored
from ser.evaluation.subgroups import write as write_breakdown
from ser.files import write_csv, write_json, write_text
from ser.reports import figures
from ser.reports.report import Report
from ser.runs.finished import ORIGIN


def write(folder: Path, report: Report) -> None:
    """Write the plain files and the figures into `folder`."""
    write_tables(folder, report)
    write_figures(folder, report)


def write_tables(folder: Path, report: Report) -> None:
    """Write the predictions, the classification report as text and as JSON, and the tables as CSV."""
    scored, title = report.scored, report.provenance.title
    truth, prediction, emotions = scored.truth, scored.prediction, list(scored.emotions)
    write_predictions(folder / "predictions.csv", scored)
    write_csv(
        folder / "confusion_matrix.csv",
        [f"truth \\ prediction ({title})", *emotions],
        ([emotion, *row] for emotion, row in zip(emotions, report.counts, strict=True)),
    )
    write_breakdown(
        folder / "breakdown.csv", report.groups, report.provenance.corpus, report.provenance.protocol["name"]
    )
    write_text(folder / "classification_report.txt", report_text(report))
    per_emotion = classification_report(truth, prediction, labels=emotions, zero_division=0, output_dict=True)
    write_json(
        folder / "classification_report.json",
        {
            **vars(report.provenance),
            "clips": len(truth),
            **report.numbers,
            "intervals": {name: list(interval) for name, interval in report.intervals.items()},
            "resampled": report.provenance.resampled,
            "spread": asdict(report.spread) if report.spread else None,
            "classification_report": per_emotion,
        },
    )


def write_figures(folder: Path, report: Report) -> None:
    """Draw confusion matrix, speakers and reliability, each as PNG and as PDF."""
    title = report.provenance.title
    confusions = figures.confusion_figure(report.counts, report.scored.emotions, title)
    figures.save(confusions, folder / "confusion_matrix")
    figures.save(figures.speakers_figure(report.groups["speaker"], title), folder / "speakers")
    figures.save(figures.reliability_figure(report.bins, title), folder / "reliability")


def report_text(report: Report) -> str:
    """The paper's report, and under it what the numbers are worth."""
    scored, provenance = report.scored, report.provenance
    table = classification_report(scored.truth, scored.prediction, labels=list(scored.emotions), zero_division=0)
    lines = [table, *numbers_in_words(report), ""]
    if report.spread:
        lines += [*report.spread.in_words(), ""]
    lines += [provenance.title, provenance.description, provenance.in_words, *provenance.leaks, ""]
    return "\n".join(lines)


def numbers_in_words(report: Report) -> list[str]:
    """Each number of the summary with its interval, then those of the probabilities."""
    lines = []
    for name, (low, high) in report.intervals.items():
        value = report.numbers[name]
        lines.append(f"{name.replace('_', ' ')} {value:.3f} (95 % interval {low:.3f} to {high:.3f})")
    lines.append(", ".join(f"{name.replace('_', ' ')} {report.numbers[name]:.3f}" for name in metrics.OF_PROBABILITIES))
    lines.append(f"intervals: {report.units} {report.provenance.resampled} resampled")
    return lines


def write_predictions(path: Path, scored: Scored) -> None:
    """Write a row for each answer, sorted by path, with one probability column for each emotion.

    Where several runs are pooled, seed and fold say which of them gave an answer.
    """
    columns_of_origin = ORIGIN if scored.origins is not None else ()
    origins: Sequence[tuple[int | None, ...]] = scored.origins or [()] * len(scored.utterances)
    columns = zip(scored.utterances, scored.prediction, origins, scored.probabilities, strict=True)
    rows = [
        [utterance.path, utterance.emotion, prediction, *origin, *(f"{share:.6f}" for share in shares)]
        for utterance, prediction, origin, shares in sorted(columns, key=lambda row: row[0].path)
    ]
    write_csv(path, ["path", "truth", "prediction", *columns_of_origin, *scored.emotions], rows)
