import numpy as np
import pytest

from ser.inference.output_format import OutputFormat
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.summary import make_table

LABELS = ["up", "down"]


def seconds_of(*spans):
    """Return the column of the seconds in the table of windows."""
    prediction = Prediction.from_array(LABELS, np.array([0.75, 0.25]))
    windows = [WindowPrediction("a.wav", start, end, prediction) for start, end in spans]
    windows.append(WindowPrediction("b.wav", 0.0, 0.0, None, error="no sound"))
    table = make_table(windows, OutputFormat(LABELS, ["toy"]), windowed=True)
    return [cell.plain for cell in table.columns[1].cells]


@pytest.mark.parametrize(
    ("spans", "shown"),
    [
        ([(0.0, 4.0), (2.0, 6.0)], ["0.0 - 4.0", "2.0 - 6.0", ""]),
        ([(52.0, 56.0), (52.02, 56.02)], ["52.00 - 56.00", "52.02 - 56.02", ""]),
        ([(0.0, 0.5), (0.25, 0.75)], ["0.00 - 0.50", "0.25 - 0.75", ""]),
    ],
)
def test_windows_that_begin_within_a_tenth_of_a_second_are_shown_with_two_decimals(spans, shown):
    assert seconds_of(*spans) == shown
