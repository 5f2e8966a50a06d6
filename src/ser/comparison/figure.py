"""The figure of a comparison: UAR and its interval of each run, a panel for each protocol."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ser.comparison.blocks import Block

DOT = "#0072B2"  # blue of Okabe & Ito


def comparison_figure(blocks: Sequence[Block]) -> Figure:
    """Draw a dot with its 95 % interval for each run; panels share the axis and nothing else."""
    rows = [len(block.runs) for block in blocks]
    figure = Figure(figsize=(7.5, 1.0 + sum(0.45 * number + 0.9 for number in rows)), layout="constrained")
    panels = figure.subplots(len(blocks), 1, sharex=True, squeeze=False, height_ratios=[n + 1 for n in rows])[:, 0]
    for axes, block in zip(panels, blocks, strict=True):
        for place, run in enumerate(block.runs):
            value = run.report["unweighted_average_recall"]
            low, high = run.report["intervals"]["unweighted_average_recall"]
            axes.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=DOT, capsize=3)
        labels = [block.names[run.folder] for run in block.runs]
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_title(block.title, fontsize=10, loc="left")
        axes.axvline(1 / len(block.runs[0].predictions.emotions), color="#666666", linestyle=":", label="chance")
        axes.grid(axis="x", alpha=0.3)
    panels[0].legend(fontsize=8)
    panels[-1].set_xlim(0, 1)
    panels[-1].set_xlabel("unweighted average recall, with 95 % interval")
    return figure
