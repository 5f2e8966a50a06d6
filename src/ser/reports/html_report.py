"""report.html: one self-contained page with the metrics, their intervals, the protocol and the figures.

`templates/report.html` is the layout and `templates/report.css` the style; here the numbers become tables.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ser.evaluation.confident_errors import ConfidentError
from ser.evaluation.metrics import COUNT_METRICS, PROBABILITY_METRICS, Bin
from ser.evaluation.subgroups import Subgroup
from ser.evaluation.variation import Variation
from ser.files import write_text
from ser.reports import html_text, members, stress
from ser.reports.formats import duration, percent, reach
from ser.reports.rendering import data_uri, template_environment
from ser.reports.report import Report
from ser.reports.tables import describe_calibration, report_text

FEW_RUNS = 12
"""Up to this number of runs, their table is shown unfolded."""
HEADLINE = "unweighted_average_recall"
"""The metric that stands first."""


class Table(NamedTuple):
    """A table of texts; the first cell of a row is its header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    source: str
    width: int
    height: int
    description: str


def write(folder: Path, report: Report, used: dict[str, Any], errors: Sequence[ConfidentError]) -> None:
    """Write the page of a report.

    Args:
        folder: of the report; its figures are already there, training_graph.png only after training.
        report: the metrics and where they come from.
        used: the environment (`ser.runs.environment`), and `seconds` where they are known.
        errors: the most confident ones; the page embeds their recordings.
    """
    content = {**texts(report), **tables(report), **pictures(folder, report)}
    page = template_environment().get_template("report.html").render(content, used=used, errors=errors)
    write_text(folder / "report.html", page)


def texts(report: Report) -> dict[str, Any]:
    """Return the texts and numbers of the template, by their names there."""
    emotions = report.predictions.emotions
    return {
        "report": report,
        "provenance": report.provenance,
        "identity": json.dumps(report.provenance.protocol, indent=2, ensure_ascii=False),
        "resampling": html_text.describe_intervals(report),
        "clips": len(report.predictions.truth),
        "right": sum(report.counts[place][place] for place in range(len(emotions))),
        "labels": len(emotions),
        "uninformed": {"cross_entropy": math.log(len(emotions)), "brier_score": 1 - 1 / len(emotions)},
        "text": report_text(report),
        "calibration": describe_calibration(report) if report.calibration else None,
        "members_note": members.note(report),
        "stress_note": stress.NOTE,
        "stress_conditions": stress.explanations(report.stress),
    }


def tables(report: Report) -> dict[str, Any]:
    return {
        "variation": variation_table(report.variation) if report.variation else None,
        "runs": runs_table(report.variation) if report.variation else None,
        "few_runs": FEW_RUNS,
        "counts": counts_table(report.counts, report.predictions.emotions),
        "speakers": subgroups_table("speaker", report.subgroups.get("speaker", [])),
        "subgroups": [subgroups_table(field, rows) for field, rows in report.subgroups.items() if field != "speaker"],
        "bins": bins_table(report.bins),
        "metrics": metrics_table(report),
        "members": Table("Members of the ensemble", members.HEADER, members.format_rows(report.members))
        if report.members
        else None,
        "stress": Table("Under each condition", stress.HEADER, stress.format_rows(report.stress))
        if report.stress
        else None,
    }


def pictures(folder: Path, report: Report) -> dict[str, Picture | None]:
    """Return the figures of the folder with their descriptions."""
    confusions = html_text.describe_confusion(report.counts, report.predictions.emotions)
    graph, speakers = folder / "training_graph.png", report.subgroups.get("speaker")
    return {
        "confusion_matrix": picture(folder / "confusion_matrix.png", confusions),
        "training_graph": picture(graph, html_text.describe_training(report)) if graph.is_file() else None,
        "speakers_figure": picture(folder / "speakers.png", html_text.describe_speakers(speakers))
        if speakers
        else None,
        "stress_figure": picture(folder / "stress.png", stress.describe(report.stress)) if report.stress else None,
        "reliability": picture(folder / "reliability.png", html_text.describe_reliability(report.bins)),
    }


def picture(path: Path, description: str) -> Picture:
    content = path.read_bytes()
    with Image.open(path) as image:
        width, height = image.size  # without it the text below would jump while the page is laid out
    return Picture(data_uri("image/png", content), width, height, description)


def variation_table(variation: Variation) -> Table | None:
    """Return mean and standard deviation; None of a single fold and seed."""
    if not variation.axes:
        return None
    columns = {
        f"over {next(iter(by_metric.values())).number} {axis}": by_metric for axis, by_metric in variation.axes.items()
    }
    rows = [
        [
            COUNT_METRICS[name].label,
            *(f"{100 * of[name].mean:.1f} ± {percent(of[name].deviation)}" for of in columns.values()),
        ]
        for name in headline_first()
    ]
    return Table("Mean ± standard deviation", ["metric", *columns], rows)


def runs_table(variation: Variation) -> Table:
    header = ["fold", "seed", "clips", "step", "accuracy", "UAR", "time"]
    rows = [
        [
            "–" if run["fold"] is None else str(run["fold"]),
            str(run["seed"]),
            str(run["clips"]),
            str(run["step"]),
            percent(run["accuracy"]),
            percent(run["unweighted_average_recall"]),
            duration(run["seconds"]),
        ]
        for run in variation.runs
    ]
    return Table("Each run by itself", header, rows)


def counts_table(counts: Sequence[Sequence[int]], emotions: Sequence[str]) -> Table:
    rows = [[emotion, *map(str, row), str(sum(row))] for emotion, row in zip(emotions, counts, strict=True)]
    return Table("Clips by true emotion (rows) and predicted emotion (columns)", ["true", *emotions, "all"], rows)


def subgroups_table(field: str, groups: Sequence[Subgroup]) -> Table:
    rows = [
        [group.value, str(group.clips), percent(group.accuracy), percent(group.unweighted_average_recall)]
        for group in groups
    ]
    return Table(f"By {field}", [field, "clips", "accuracy", "UAR"], rows)


def bins_table(bins: Sequence[Bin]) -> Table:
    rows = [
        [f"{100 * b.low:.0f} to {100 * b.high:.0f}\u00a0%", str(b.clips), percent(b.confidence), percent(b.accuracy)]
        for b in bins
    ]
    header = ["probability", "clips", "mean probability", "accuracy"]
    return Table("Accuracy by the probability of the predicted emotion", header, rows)


def metrics_table(report: Report) -> Table:
    rows = [
        [COUNT_METRICS[name].label, percent(report.metrics[name]), reach(report.intervals[name])]
        for name in headline_first()
    ]
    rows += [[metric.label, f"{report.metrics[name]:.3f}", "–"] for name, metric in PROBABILITY_METRICS.items()]
    return Table("Every metric", ["metric", "value", "95\u00a0% interval"], rows)


def headline_first() -> list[str]:
    """Return the names of `COUNT_METRICS` in the order of the page."""
    return sorted(COUNT_METRICS, key=lambda name: name != HEADLINE)
