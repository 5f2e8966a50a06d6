"""The figures of a report, each as a bitmap for pages and as vectors for papers.

They are narrow, with large text, because pages are read on phones too. Names given by users are never parsed as
mathematics: a `$` stays a `$`.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from statistics import mean
from textwrap import fill
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

from ser.evaluation.metrics import Bin
from ser.evaluation.stress import StressRow
from ser.evaluation.subgroups import Subgroup
from ser.files import replacing
from ser.reports.formats import rate
from ser.reports.history import Row

# Blue and vermilion of Okabe & Ito, distinguishable with any colour vision.
BLUE, VERMILION = "#0072B2", "#D55E00"
GREY = "#666666"
DARK = 0.72
"""From this share on, white is easier to read on matplotlib's Blues than black (each has a contrast of 4.5 or more)."""
DOTS = 150
"""Of a bitmap, per inch."""
MOST_MARKERS = 60
"""The points of a curve that are marked; the markers of more would hide it."""


def confusion_figure(counts: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Figure:
    """Draw counts and their shares of the true emotion; the share decides the shade, so frequency does not."""
    side = max(5.4, 1.4 + 0.5 * len(labels))
    figure, axes = canvas((side, side), title)
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    # Squares rather than an image: sharp in the PDF at any size.
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for truth, row in enumerate(counts):
        for prediction, count in enumerate(row):
            cell(axes, prediction + 0.5, truth + 0.5, count, shares[truth][prediction])
    label_grid(axes, labels, rotation=45)
    axes.set_xlabel("predicted emotion")
    axes.set_ylabel("true emotion")
    return figure


def label_grid(axes: Axes, labels: Sequence[str], rotation: int) -> None:
    """Name the rows and columns of a square grid of cells, the first row on top."""
    places = [place + 0.5 for place in range(len(labels))]
    axes.set_xticks(places, labels, rotation=rotation, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(places, labels, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    axes.invert_yaxis()


def cell(axes: Axes, x: float, y: float, count: int, share: float) -> None:
    """Write the texts of one cell; an empty one has no share, so that errors stand out."""
    if count == 0:
        axes.text(x, y, "0", ha="center", va="center", color=GREY, fontsize=9)
        return
    colour = "white" if share > DARK else "black"
    axes.text(x, y - 0.14, str(count), ha="center", va="center", color=colour, fontsize=12)
    axes.text(x, y + 0.24, rate(share), ha="center", va="center", color=colour, fontsize=8)


def training_figure(
    histories: Sequence[Sequence[Row]], selected_steps: Sequence[int], evaluated: str, title: str
) -> Figure:
    """Draw loss and accuracy by optimizer step, on the training split and on the split that is evaluated.

    Args:
        histories: the table of `ser.reports.history` of each run.
        selected_steps: the step of the selected checkpoint of each run.
        evaluated: the split that training evaluated; empty where there is none.
        title: the name of the run.
    """
    figure = Figure(figsize=(6, 5.8), layout="constrained")
    heading(figure, title)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for rows, step in zip(histories, selected_steps, strict=True):
            curves(axes, rows, quantity, f"{evaluated} split", alone=len(histories) == 1)
            mark_selected(axes, rows, quantity, step, alone=len(histories) == 1)
        axes.set_ylabel(quantity)
        style(axes)
    panels[0].set_ylim(bottom=0)
    panels[1].set_ylim(0, 1)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    panels[1].set_xlabel("optimizer step" if len(histories) == 1 else f"optimizer step, {len(histories)} runs")
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    steps = {row["step"] for rows in histories for row in rows} | {*selected_steps}
    if len(steps) == 1:  # left to itself Matplotlib shows a twentieth of a step on either side
        panels[1].set_xlim(0, 1.1 * max(*steps, 1))
    # One entry for each kind of line, however many runs and panels draw it.
    entries = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def curves(axes: Axes, rows: Sequence[Row], quantity: str, split: str, alone: bool) -> None:
    look: dict[str, Any] = (
        {"linewidth": 1.6, "markersize": 4} if alone else {"linewidth": 0.8, "alpha": 0.6, "markersize": 0}
    )
    kinds = (("train", "training split", BLUE, "o"), ("eval", split, VERMILION, "s"))
    for name, label, colour, marker in kinds:
        points = [(row["step"], row[f"{name}_{quantity}"]) for row in rows if row[f"{name}_{quantity}"] is not None]
        if points:
            marked = marker if len(points) <= MOST_MARKERS else ""
            axes.plot(*zip(*points, strict=True), color=colour, marker=marked, label=label, clip_on=False, **look)


def mark_selected(axes: Axes, rows: Sequence[Row], quantity: str, step: int, alone: bool) -> None:
    """Mark the selected step by a line; where several runs are drawn, by a dot on each curve."""
    if alone:
        axes.axvline(step, color=GREY, linestyle=":", label=f"selected checkpoint (step {step})")
        return
    height = next((row[f"eval_{quantity}"] for row in rows if row["step"] == step), None)
    if height is not None:
        look: dict[str, Any] = {"marker": "o", "markersize": 5, "linestyle": "", "zorder": 3, "clip_on": False}
        axes.plot([step], [height], color=VERMILION, markeredgecolor="black", label="selected checkpoint", **look)


def speakers_figure(groups: Sequence[Subgroup], title: str) -> Figure:
    """Draw the unweighted average recall of each speaker, the best on top, and the mean over the speakers."""
    ordered = sorted(groups, key=lambda group: group.unweighted_average_recall, reverse=True)
    # A page of print holds about forty lines; more speakers share it in smaller type, then without names.
    row = min(0.25, 10 / len(ordered))
    size = min(9.0, 58 * row)
    figure, axes = canvas((5.4, 1.5 + row * len(ordered)), title)
    scores, places = [group.unweighted_average_recall for group in ordered], range(len(ordered))
    average = mean(scores)
    if len(ordered) > 1:
        axes.hlines(places, average, scores, color=BLUE, alpha=0.35, linewidth=1.5)
        axes.axvline(average, color=VERMILION, linestyle="--", linewidth=1.2, label=f"mean {100 * average:.1f} %")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, fontsize=9, frameon=False)
    axes.plot(scores, places, "o", color=BLUE, markersize=min(6.0, 40 * row), clip_on=False)
    named = size >= 4
    for place, score in zip(places, scores, strict=True):
        if named:
            annotate_score(axes, score, place, average, size)
    axes.set_yticks(places if named else [], [group.value for group in ordered] if named else [], parse_math=False)
    axes.tick_params(axis="y", labelsize=size, length=0)
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.set_xlim(0, 1.1)  # room for the value of a speaker with a recall of 1
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("speaker" if named else f"{len(ordered)} speakers")
    axes.set_xlabel("unweighted average recall")
    style(axes)
    return figure


def annotate_score(axes: Axes, score: float, place: int, average: float, size: float) -> None:
    """Write the value on the side of its dot that is away from the mean, unless it would leave the figure."""
    offset, side = (7, "left") if score >= average or score < 0.08 else (-7, "right")
    axes.annotate(
        f"{100 * score:.0f} %",
        (score, place),
        xytext=(offset, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=size - 1,
    )


def reliability_figure(bins: Sequence[Bin], title: str) -> Figure:
    """Draw accuracy by confidence, and the number of clips in each bin."""
    figure = Figure(figsize=(5.4, 6.4), layout="constrained")
    heading(figure, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
    clips = [b.clips for b in bins]
    error = sum(b.clips * abs(b.accuracy - b.confidence) for b in bins) / sum(clips)
    upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    upper.vlines(confidence, confidence, accuracy, color=VERMILION, alpha=0.5, linewidth=4, label="calibration gap")
    label = f"this model (calibration error {error:.3f})"
    upper.plot(confidence, accuracy, "o-", color=BLUE, label=label, clip_on=False)
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1)
    upper.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    upper.set_ylabel("accuracy")
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1.02), borderaxespad=0, fontsize=8, frameon=False)
    bars = lower.bar([b.low for b in bins], clips, [b.high - b.low for b in bins], align="edge", color=BLUE, ec="white")
    lower.bar_label(bars, fontsize=7, padding=1)
    lower.margins(y=0.2)
    lower.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.set_ylabel("clips")
    lower.set_xlabel("probability of the predicted emotion")
    style(upper)
    style(lower)
    return figure


def stress_figure(rows: Sequence[StressRow], labels: int, title: str) -> Figure:
    """Draw the unweighted average recall and its interval of the clean clips and of each condition.

    Args:
        rows: the clean clips first.
        labels: the number of emotions, which gives chance.
        title: the name of the run.
    """
    figure, axes = canvas((5.8, 1.6 + 0.38 * len(rows)), title)
    clean = rows[0].unweighted_average_recall
    axes.axvline(clean, color=BLUE, linestyle="--", linewidth=1.2, label=f"clean {100 * clean:.1f} %")
    axes.axvline(1 / labels, color=GREY, linestyle=":", linewidth=1.2, label=f"chance {100 / labels:.1f} %")
    for place, row in enumerate(rows):
        value, colour = row.unweighted_average_recall, VERMILION if place else BLUE
        axes.hlines(place, row.interval_low, row.interval_high, color=colour, alpha=0.45, linewidth=3)
        axes.plot(value, place, "o", color=colour, markersize=6, clip_on=False)
        axes.annotate(f"{100 * value:.0f} %", (1.02, place), va="center", fontsize=9, annotation_clip=False)
    axes.set_yticks(range(len(rows)), [row.condition for row in rows], parse_math=False)
    axes.tick_params(axis="y", labelsize=9, length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("unweighted average recall, with 95 % interval")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2, fontsize=9, frameon=False)
    style(axes)
    return figure


def canvas(size: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    heading(figure, title)
    return figure, figure.add_subplot()


def heading(figure: Figure, title: str) -> None:
    """Set a title, broken into lines of about equal length."""
    lines = ceil(len(title) / (14 * figure.get_figwidth()))
    figure.suptitle(fill(title, ceil(len(title) / max(lines, 1)) + 4), fontsize=9, parse_math=False)


def style(axes: Axes) -> None:
    """Remove the box and draw a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> None:
    """Write `path`.png for pages and `path`.pdf for papers, letters as text; equal figures give equal files.

    The layout is computed once, for the bitmap: left to itself Matplotlib draws a figure four times for two files.
    """
    figure.set_dpi(DOTS)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    with rc_context({"pdf.fonttype": 42}):
        for suffix, metadata in ((".png", {}), (".pdf", {"CreationDate": None})):
            with replacing(path.with_name(path.name + suffix)) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=DOTS, metadata=metadata)
