"""The table of corpora that are trained on and tested on, as Markdown, CSV, heat map and page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from ser.comparison.formats import percent
from ser.errors import UserError
from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.metrics import confusion_matrix, summarize
from ser.evaluation.predictions import SplitPredictions
from ser.files import write_csv, write_text
from ser.reports import figures, html_report
from ser.reports.rendering import template_environment
from ser.runs.finished import Run

BEGINNING = "Trained on the corpus of the row"
NOTE = (
    f"{BEGINNING}, tested on that of the column: unweighted average recall with its 95 % interval. On the diagonal "
    "folds of one corpus are tested, elsewhere the whole other corpus."
)


@dataclass(frozen=True)
class Cell:
    """The metrics of one pair of corpora."""

    trained_on: str
    tested_on: str
    clips: int
    units: int
    """Number of speakers, or of clips where speakers are unknown, that the interval resamples."""
    accuracy: float
    unweighted_average_recall: float
    low: float
    """Of the 95 % interval of the unweighted average recall."""
    high: float


def check_place(folder: Path) -> None:
    """Raise a UserError where something else than an earlier table would be replaced."""
    text = folder / "cross_corpus.md"
    ours = text.is_file() and text.read_text(encoding="utf-8", errors="replace").startswith(BEGINNING)
    if not ours and (theirs := sorted(folder.glob("cross_corpus.*"))):
        raise UserError(f"{theirs[0]}: not written by `ser cross-corpus`; give another output_dir")


def fill(names: Sequence[str], across: SplitPredictions, within: Mapping[str, SplitPredictions]) -> list[Cell]:
    """Compute the cells of the table, row by row.

    Args:
        names: the corpora; fold i of `across` trained on the i-th.
        across: predictions of the corpora that were not trained on, with their folds.
        within: predictions of each corpus over its own folds.
    """
    cells = []
    for fold, trained in enumerate(names, start=1):
        for tested in names:
            if trained == tested:
                cells.append(measure(trained, tested, within[trained], range(len(within[trained].utterances))))
                continue
            chosen = [
                index
                for index, (row, (_, of_fold)) in enumerate(zip(across.utterances, across.origins or [], strict=True))
                if of_fold == fold and row.corpus == tested
            ]
            cells.append(measure(trained, tested, across, chosen))
    return cells


def measure(trained: str, tested: str, predictions: SplitPredictions, chosen: Sequence[int]) -> Cell:
    """Compute the metrics of some predictions."""
    truth, labels, emotions = predictions.truth, predictions.labels, list(predictions.emotions)
    rows = [predictions.utterances[index] for index in chosen]
    known = all(row.speaker for row in rows)
    units = [row.speaker if known else row.path for row in rows]
    pairs = [truth[index] for index in chosen], [labels[index] for index in chosen]
    metrics = summarize(confusion_matrix(*pairs, emotions))
    low, high = bootstrap_intervals(*pairs, emotions, units)["unweighted_average_recall"]
    return Cell(
        trained_on=trained,
        tested_on=tested,
        clips=len({row.path for row in rows}),
        units=len(set(units)),
        accuracy=metrics["accuracy"],
        unweighted_average_recall=metrics["unweighted_average_recall"],
        low=low,
        high=high,
    )


def write(folder: Path, cells: Sequence[Cell], across: Run, description: str, within: Mapping[str, Run]) -> None:
    """Write `cross_corpus.md`, `.csv`, `.png`, `.pdf` and `.html` into `folder`."""
    rows, emotions = tabulate_cells(cells), list(across.predictions.emotions)
    about = f"{description}: {len(emotions)} emotions ({', '.join(emotions)}), chance is {percent(1 / len(emotions))}."
    notes = [
        *(f"Within {name}: {run.report['in_words']}" for name, run in within.items()),
        f"Across: {across.report['in_words']}",
    ]
    markdown = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
    write_text(folder / "cross_corpus.md", "\n\n".join([NOTE, markdown, about, *notes]) + "\n")
    write_csv(folder / "cross_corpus.csv", asdict(cells[0]), (asdict(cell).values() for cell in cells))
    figures.save(heat_map(cells), folder / "cross_corpus")
    block = {"title": across.report["model"], "description": about, "tables": [rows], "notes": notes}
    described = "; ".join(
        f"{cell.trained_on} to {cell.tested_on} {percent(cell.unweighted_average_recall)}" for cell in cells
    )
    page = template_environment().get_template("comparison.html")
    picture = html_report.picture(folder / "cross_corpus.png", f"Unweighted average recall. {described}.")
    title = "One corpus against another"
    write_text(folder / "cross_corpus.html", page.render(title=title, blocks=[block], note=NOTE, picture=picture))


def tabulate_cells(cells: Sequence[Cell]) -> list[dict[str, str]]:
    """Return a row for each corpus that is trained on."""
    rows: dict[str, dict[str, str]] = {}
    for cell in cells:
        row = rows.setdefault(cell.trained_on, {"trained on": cell.trained_on})
        reach = f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]"
        row[f"tested on {cell.tested_on}"] = f"{percent(cell.unweighted_average_recall)} {reach}"
    return list(rows.values())


def heat_map(cells: Sequence[Cell]) -> Figure:
    """Draw the unweighted average recall of each pair; the shade goes from 0 to 1."""
    names = list(dict.fromkeys(cell.trained_on for cell in cells))
    values = np.array([cell.unweighted_average_recall for cell in cells]).reshape(len(names), -1)
    side = max(4.5, 1.8 + 1.1 * len(names))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(values, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for index, cell in enumerate(cells):
        row, column = divmod(index, len(names))
        colour = "white" if cell.unweighted_average_recall > figures.DARK else "black"
        at: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        axes.text(column + 0.5, row + 0.42, percent(cell.unweighted_average_recall), fontsize=11, **at)
        axes.text(column + 0.5, row + 0.66, f"[{100 * cell.low:.0f}, {100 * cell.high:.0f}]", fontsize=8, **at)
    figures.label_grid(axes, names, rotation=30)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    figure.colorbar(mesh, ax=axes, label="unweighted average recall", shrink=0.8)
    return figure
