"""What is heard over the length of a recording, as a picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ser.inference.predictions import Answer
from ser.reports.figures import canvas, style

ROW = 0.34
"""Inches of height for an emotion."""


def timeline_figure(answers: Sequence[Answer], labels: Sequence[str], title: str) -> Figure:
    """A row for each emotion, as dark as it is likely, over the seconds of the recording.

    Where windows overlap a moment has the mean of all windows that hear it.
    """
    edges = np.unique([edge for answer in answers for edge in (answer.start, answer.end)])
    shares = np.zeros((len(labels), len(edges) - 1))
    heard = np.zeros(len(edges) - 1)
    for answer in answers:
        assert answer.said is not None
        stretch = slice(*np.searchsorted(edges, (answer.start, answer.end)))
        shares[:, stretch] += answer.said.shares[:, None]
        heard[stretch] += 1
    figure, axes = canvas((7.2, 1.6 + ROW * len(labels)), title)
    mesh = axes.pcolormesh(edges, range(len(labels) + 1), shares / np.maximum(heard, 1), cmap="Blues", vmin=0, vmax=1)
    style(axes)
    axes.grid(visible=False)
    axes.set_yticks([place + 0.5 for place in range(len(labels))], labels, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    figure.colorbar(mesh, label="probability")
    return figure
