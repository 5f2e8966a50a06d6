import numpy as np

from ser.inference.predictions import Answer
from ser.inference.predictor import Said
from ser.inference.timeline import timeline_figure


def heard(start, end, *shares):
    return Answer("a", start, end, Said("x", np.array(shares), []))


def test_a_moment_that_several_windows_hear_has_their_mean():
    figure = timeline_figure([heard(0, 2, 1.0, 0.0), heard(1, 3, 0.0, 1.0)], ["x", "y"], "$a.wav$")
    axes, legend = figure.axes
    (mesh,) = axes.collections
    assert np.allclose(mesh.get_array().reshape(2, 3), [[1, 0.5, 0], [0, 0.5, 1]])
    assert axes.get_xlim() == (0, 3)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y"]
    assert legend.get_ylabel() == "probability"
