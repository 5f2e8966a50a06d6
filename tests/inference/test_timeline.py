import numpy as np

from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.timeline import timeline_figure


def window(start, end, *shares):
    return WindowPrediction("a", start, end, Prediction.from_array(["x", "y"], np.array(shares)))


def test_where_windows_overlap_their_mean_is_drawn():
    figure = timeline_figure([window(0, 2, 1.0, 0.0), window(1, 3, 0.0, 1.0)], ["x", "y"], "$a.wav$")
    axes, legend = figure.axes
    (mesh,) = axes.collections
    assert np.allclose(mesh.get_array().reshape(2, 3), [[1, 0.5, 0], [0, 0.5, 1]])
    assert axes.get_xlim() == (0, 3)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y"]
    assert legend.get_ylabel() == "probability"
