"""A figure of the predictions over the length of a recording."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ser.inference.predictions import WindowPrediction
from ser.reports.figures import canvas, style

ROW = 0.34
"""Height of the row of an emotion, in inches."""


def timeline_figure(windows: Sequence[WindowPrediction], labels: Sequence[str], title: str) -> Figure:
    """Draw a row for each emotion over the seconds of the recording, darker for higher probabilities.

    Overlapping windows are averaged.
    """
    edges = np.unique([edge for window in windows for edge in (window.start, window.end)])
    sums = np.zeros((len(labels), len(edges) - 1))
    counts = np.zeros(len(edges) - 1)
    for window in windows:
        assert window.prediction is not None
        covered = slice(*np.searchsorted(edges, (window.start, window.end)))
        sums[:, covered] += window.prediction.as_array()[:, None]
        counts[covered] += 1
    figure, axes = canvas((7.2, 1.6 + ROW * len(labels)), title)
    mesh = axes.pcolormesh(edges, range(len(labels) + 1), sums / np.maximum(counts, 1), cmap="Blues", vmin=0, vmax=1)
    style(axes)
    axes.grid(visible=False)
    axes.set_yticks([row + 0.5 for row in range(len(labels))], labels, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    figure.colorbar(mesh, label="probability")
    return figure
