"""report.html: one file with the number, what it is worth, and all that was measured; it asks nobody for anything.

`templates/report.html` is the layout and `templates/report.css` the style; here the numbers become tables.
"""

import base64
import io
import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ser.data.audio import SAMPLE_RATE, Int16
from ser.evaluation import metrics
from ser.evaluation.metrics import Bin
from ser.evaluation.mistakes import Mistake
from ser.evaluation.subgroups import Group
from ser.evaluation.variation import Spread
from ser.files import write_text
from ser.reports import html_text
from ser.reports.html_text import NAMES, duration, percent, reach
from ser.reports.report import Report
from ser.reports.tables import report_text

FEW_RUNS = 12
"""So many runs at most are shown unfolded."""


class Table(NamedTuple):
    """A table whose cells are texts; the first of each row names the row."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    source: str
    width: int
    height: int
    description: str


def write(folder: Path, report: Report, used: dict[str, Any], mistakes: Sequence[Mistake]) -> None:
    """Write the page of a measured list.

    Args:
        folder: of the report; its figures are already there, training_graph.png where something was trained.
        report: what was measured.
        used: what it was computed with (`ser.runs.environment`), and the `seconds` it took where they are known.
        mistakes: those to be listened to; the page then holds recordings of the corpus.
    """
    content = {**texts(report), **tables(report), **pictures(folder, report)}
    page = environment().get_template("report.html").render(content, used=used, mistakes=mistakes)
    write_text(folder / "report.html", page)


def environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # names of files, speakers and models may hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(percent=percent, reach=reach, duration=duration, flac=flac)
    return templates


def texts(report: Report) -> dict[str, Any]:
    """Return the texts and numbers of the template, by their names there."""
    emotions = report.scored.emotions
    return {
        "report": report,
        "provenance": report.provenance,
        "identity": json.dumps(report.provenance.protocol, indent=2, ensure_ascii=False),
        "resampling": html_text.resampling(report),
        "clips": len(report.scored.truth),
        "right": sum(report.counts[place][place] for place in range(len(emotions))),
        "labels": len(emotions),
        "knowing_nothing": {"cross_entropy": math.log(len(emotions)), "brier_score": 1 - 1 / len(emotions)},
        "text": report_text(report),
    }


def tables(report: Report) -> dict[str, Any]:
    return {
        "spread": spread_table(report.spread) if report.spread else None,
        "runs": runs_table(report.spread) if report.spread else None,
        "few_runs": FEW_RUNS,
        "counts": counts_table(report.counts, report.scored.emotions),
        "speakers": groups_table("speaker", report.groups["speaker"]),
        "groups": [groups_table(field, rows) for field, rows in report.groups.items() if field != "speaker"],
        "bins": bins_table(report.bins),
        "metrics": metrics_table(report),
    }


def pictures(folder: Path, report: Report) -> dict[str, Picture | None]:
    """The figures of the folder, with what they show in words."""
    confusions = html_text.of_confusion(report.counts, report.scored.emotions)
    graph = folder / "training_graph.png"
    return {
        "confusion_matrix": picture(folder / "confusion_matrix.png", confusions),
        "training_graph": picture(graph, html_text.of_training(report)) if graph.is_file() else None,
        "speakers_figure": picture(folder / "speakers.png", html_text.of_speakers(report.groups["speaker"])),
        "reliability": picture(folder / "reliability.png", html_text.of_reliability(report.bins)),
    }


def picture(path: Path, description: str) -> Picture:
    content = path.read_bytes()
    # With the size known (IHDR, the first chunk of any PNG) the text below does not jump while the page is laid out.
    width, height = struct.unpack(">II", content[16:24])
    return Picture(data_uri("image/png", content), width, height, description)


def flac(samples: Int16) -> str:
    """16 kHz samples as something that `<audio>` plays: lossless, in about half the bytes of WAV."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def spread_table(spread: Spread) -> Table | None:
    """Mean and standard deviation; None of a single fold and seed."""
    columns = {
        f"over {next(iter(over.values())).number} {what}": over
        for what, over in (("folds", spread.folds), ("seeds", spread.seeds))
        if over
    }
    if not columns:
        return None
    rows = [
        [NAMES[name], *(f"{100 * over[name].mean:.1f} ± {percent(over[name].deviation)}" for over in columns.values())]
        for name in ordered(metrics.SUMMARY)
    ]
    return Table("Mean ± standard deviation", ["metric", *columns], rows)


def runs_table(spread: Spread) -> Table:
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
        for run in spread.runs
    ]
    return Table("Each run by itself", header, rows)


def counts_table(counts: Sequence[Sequence[int]], emotions: Sequence[str]) -> Table:
    rows = [[emotion, *map(str, row), str(sum(row))] for emotion, row in zip(emotions, counts, strict=True)]
    return Table("Answers by true emotion (rows) and predicted emotion (columns)", ["true", *emotions, "all"], rows)


def groups_table(field: str, groups: Sequence[Group]) -> Table:
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
    header = ["probability", "clips", "mean probability", "right"]
    return Table("Right answers by the probability of the predicted emotion", header, rows)


def metrics_table(report: Report) -> Table:
    rows = [
        [NAMES[name], percent(report.numbers[name]), reach(report.intervals[name])] for name in ordered(metrics.SUMMARY)
    ]
    rows += [[NAMES[name], f"{report.numbers[name]:.3f}", "–"] for name in metrics.OF_PROBABILITIES]
    return Table("Every metric", ["metric", "value", "95\u00a0% interval"], rows)


def ordered(names: Sequence[str] | dict[str, Any]) -> list[str]:
    """Metrics in the order in which the page names them."""
    return [name for name in NAMES if name in names]
