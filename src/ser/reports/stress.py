"""The table and the figure of the scored clips under fixed degradations."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from ser.evaluation.stress import CLEAN, CONDITIONS, StressRow
from ser.files import remove, write_csv
from ser.reports.report import Report

FILE = "stress.csv"
FIGURE = "stress"
FILES = (FILE, f"{FIGURE}.png", f"{FIGURE}.pdf")
HEADER = ("condition", "accuracy", "UAR", "95 % interval of the UAR", "change of the UAR", "clips")
NOTE = (
    "The same clips again, degraded in fixed ways that depend on the clip alone: another checkpoint is scored on the "
    "same samples. Nothing of it is used in training. Change: UAR minus that of the clean clips."
)


def write(folder: Path, report: Report) -> None:
    """Write the table as CSV and draw the figure; where there is none, no file of an earlier evaluation stays."""
    if not report.stress:
        for name in FILES:
            remove(folder / name)
        return
    from ser.reports import figures  # imports Matplotlib, which nothing before the end of training needs

    where = (report.provenance.corpus, report.provenance.protocol["name"])
    write_csv(folder / FILE, ["corpus", "protocol", *StressRow._fields], ([*where, *row] for row in report.stress))
    figure = figures.stress_figure(report.stress, len(report.predictions.emotions), report.provenance.title)
    figures.save(figure, folder / FIGURE)


def format_rows(rows: Sequence[StressRow]) -> list[list[str]]:
    """Return the cells below `HEADER`."""
    return [
        [
            row.condition,
            f"{100 * row.accuracy:.1f} %",
            f"{100 * row.unweighted_average_recall:.1f} %",
            f"{100 * row.interval_low:.1f} to {100 * row.interval_high:.1f} %",
            "–" if row.condition == CLEAN else f"{100 * row.change:+.1f} points",
            str(row.clips),
        ]
        for row in rows
    ]


def text_lines(rows: Sequence[StressRow]) -> list[str]:
    """Return the table as plain text; nothing where there is none."""
    if not rows:
        return []
    table = tabulate(format_rows(rows), HEADER, tablefmt="plain", disable_numparse=True)
    return ["Degraded clips:", str(table), ""]


def explanations(rows: Sequence[StressRow]) -> dict[str, str]:
    """Return what was done under each condition."""
    return {row.condition: CONDITIONS[row.condition].text for row in rows if row.condition in CONDITIONS}


def describe(rows: Sequence[StressRow]) -> str:
    """Name the UAR of the clean clips and the worst condition, for those who do not see the figure."""
    clean, *others = rows
    worst = min(others, key=lambda row: row.unweighted_average_recall)
    return (
        f"Unweighted average recall with its 95 % interval, clean and under {len(others)} conditions. Clean: "
        f"{100 * clean.unweighted_average_recall:.1f} %; lowest: {worst.condition}, "
        f"{100 * worst.unweighted_average_recall:.1f} %."
    )
