"""The plain files of a report: predictions, text, JSON and CSV tables, figures."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ser.evaluation import subgroups
from ser.evaluation.metrics import PROBABILITY_METRICS
from ser.evaluation.predictions import SplitPredictions
from ser.files import remove, write_csv, write_json, write_text
from ser.reports import members, stress
from ser.reports.report import Report
from ser.runs.finished import ORIGIN


def write(folder: Path, report: Report) -> None:
    """Write the plain files and the figures into `folder`."""
    write_tables(folder, report)
    write_figures(folder, report)
    stress.write(folder, report)
    members.write(folder, report)


def write_tables(folder: Path, report: Report) -> None:
    """Write the predictions, the classification report as text and as JSON, and the tables as CSV."""
    provenance, emotions = report.provenance, list(report.predictions.emotions)
    write_predictions(folder / "predictions.csv", report.predictions)
    write_csv(
        folder / "confusion_matrix.csv",
        [f"truth \\ prediction ({provenance.title})", *emotions],
        ([emotion, *row] for emotion, row in zip(emotions, report.counts, strict=True)),
    )
    subgroups.write(folder / "breakdown.csv", report.subgroups, provenance.corpus, provenance.protocol["name"])
    write_text(folder / "classification_report.txt", report_text(report))
    write_json(
        folder / "classification_report.json",
        {
            **provenance.to_report(),
            "clips": len(report.predictions.utterances),
            **report.metrics,
            "intervals": {name: list(interval) for name, interval in report.intervals.items()},
            "resampled": provenance.resampled,
            "spread": asdict(report.variation) if report.variation else None,
            **({"calibration": asdict(report.calibration)} if report.calibration else {}),
            "classification_report": per_emotion(report, output_dict=True),
        },
    )


def write_figures(folder: Path, report: Report) -> None:
    """Draw confusion matrix, speakers and reliability, each as PNG and as PDF."""
    from ser.reports import figures  # imports Matplotlib, which nothing before the end of training needs

    title = report.provenance.title
    confusions = figures.confusion_figure(report.counts, report.predictions.emotions, title)
    figures.save(confusions, folder / "confusion_matrix")
    if speakers := report.subgroups.get("speaker"):
        figures.save(figures.speakers_figure(speakers, title), folder / "speakers")
    else:  # none is known: no figure of an earlier evaluation stays
        for suffix in ("png", "pdf"):
            remove(folder / f"speakers.{suffix}")
    figures.save(figures.reliability_figure(report.bins, title), folder / "reliability")


def report_text(report: Report) -> str:
    """Return the report of the paper, followed by intervals and provenance."""
    provenance = report.provenance
    lines = [per_emotion(report, output_dict=False), *metric_lines(report), ""]
    if report.variation:
        lines += [*report.variation.describe(), ""]
    lines += [*members.text_lines(report), *stress.text_lines(report.stress)]
    lines += [provenance.title, provenance.description, provenance.protocol_text, *provenance.leaks, ""]
    return "\n".join(lines)


def per_emotion(report: Report, output_dict: bool) -> Any:
    """Return precision, recall and F1 of each emotion as scikit-learn reports them."""
    predictions, emotions = report.predictions, list(report.predictions.emotions)
    from sklearn.metrics import classification_report  # at the end of training, not before it

    return classification_report(
        predictions.truth, predictions.labels, labels=emotions, zero_division=0, output_dict=output_dict
    )


def metric_lines(report: Report) -> list[str]:
    """Return a line for each metric with an interval, and one for those of the probabilities."""
    lines = []
    for name, (low, high) in report.intervals.items():
        value = report.metrics[name]
        lines.append(f"{name.replace('_', ' ')} {value:.3f} (95 % interval {low:.3f} to {high:.3f})")
    lines.append(", ".join(f"{name.replace('_', ' ')} {report.metrics[name]:.3f}" for name in PROBABILITY_METRICS))
    if report.calibration:
        lines.append(describe_calibration(report))
    lines.append(f"intervals: {report.units} {report.provenance.resampled} resampled")
    return lines


def describe_calibration(report: Report) -> str:
    """Say by which temperatures the probabilities were scaled, where those come from, and what they changed."""
    assert report.calibration is not None
    temperatures = ", ".join(f"{one:.2f}" for one in report.calibration.temperatures)
    changes = (
        f"{PROBABILITY_METRICS[name].label.lower()} {before:.3f} before, {report.metrics[name]:.3f} after"
        for name, before in report.calibration.before.items()
    )
    return (
        f"Probabilities are scaled by a temperature of {temperatures}, fitted on {report.calibration.clips} clips of "
        f"held-out speakers of the validation split (Guo et al. 2017, arXiv 1706.04599): {'; '.join(changes)}."
    )


def write_predictions(path: Path, predictions: SplitPredictions) -> None:
    """Write a row for each prediction, sorted by path, with one probability column for each emotion.

    Where several runs are pooled, seed and fold name the run behind each prediction.
    """
    columns_of_origin = ORIGIN if predictions.origins is not None else ()
    origins: Sequence[tuple[int | None, ...]] = predictions.origins or [()] * len(predictions.utterances)
    columns = zip(predictions.utterances, predictions.labels, origins, predictions.probabilities, strict=True)
    rows = [
        [utterance.path, utterance.emotion, label, *origin, *(f"{share:.6f}" for share in probabilities)]
        for utterance, label, origin, probabilities in sorted(columns, key=lambda row: row[0].path)
    ]
    write_csv(path, ["path", "truth", "prediction", *columns_of_origin, *predictions.emotions], rows)
