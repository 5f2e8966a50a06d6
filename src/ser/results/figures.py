"""The two figures of the paper: confusion matrix and training graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ser.files import replacing

# Blue and orange of Okabe & Ito, told apart with any colour vision.
TRAIN, EVALUATION = "#0072B2", "#D55E00"


def confusion_figure(counts: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Figure:
    """Counts in each cell, shaded by the share of the true emotion: a rare one is as dark as a frequent one."""
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    axes = figure.add_subplot()
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for truth, row in enumerate(counts):
        for prediction, count in enumerate(row):
            shade = "white" if shares[truth][prediction] > 0.5 else "black" if count else "#9a9a9a"
            axes.text(prediction, truth, str(count), ha="center", va="center", color=shade)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted emotion")
    axes.set_ylabel("true emotion")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true emotion")
    return figure


def training_figure(rows: Sequence[dict[str, Any]], chosen_step: int, evaluated_on: str, title: str) -> Figure:
    """Loss and accuracy against optimizer steps, of training and of the list that chose the checkpoint."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for place, quantity in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, place)
        for name, label, colour in (("train", "training", TRAIN), ("eval", f"{evaluated_on} list", EVALUATION)):
            points = [(row["step"], row[f"{name}_{quantity}"]) for row in rows if row[f"{name}_{quantity}"] is not None]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=label)
        axes.axvline(chosen_step, color="#666666", linestyle=":", label=f"checkpoint kept (step {chosen_step})")
        axes.set_xlabel("optimizer step")
        axes.set_ylabel(quantity)
        axes.set_ylim(bottom=0, top=1 if quantity == "accuracy" else None)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)
