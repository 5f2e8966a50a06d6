import numpy as np
import pytest

from ser.evaluation.calibration import LIMITS, fit_temperature
from ser.evaluation.metrics import cross_entropy, expected_calibration_error
from ser.models.outputs import scale_by_temperature, softmax

EMOTIONS = ("a", "b", "c")


def drawn(temperature, clips=4000):
    """Emotions drawn from softmax(z), and the probabilities of logits `temperature` times as large."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(clips, 3))
    truth = [EMOTIONS[generator.choice(3, p=p)] for p in softmax(logits)]
    return truth, softmax(temperature * logits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_logits_were_scaled_by_is_found(temperature):
    truth, probabilities = drawn(temperature)
    assert fit_temperature(truth, probabilities, EMOTIONS) == pytest.approx(temperature, rel=0.08)


def test_scaled_probabilities_are_calibrated_and_predict_the_same():
    truth, probabilities = drawn(3.0)
    scaled = scale_by_temperature(probabilities, fit_temperature(truth, probabilities, EMOTIONS))
    assert expected_calibration_error(truth, probabilities, EMOTIONS) > 0.15
    assert expected_calibration_error(truth, scaled, EMOTIONS) < 0.03
    assert cross_entropy(truth, scaled, EMOTIONS) < cross_entropy(truth, probabilities, EMOTIONS)
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    assert np.allclose(scaled.sum(axis=1), 1)


def test_probabilities_of_zero_stay_finite():
    scaled = scale_by_temperature(np.array([[1.0, 0.0, 0.0]]), 2.0)
    assert np.isfinite(scaled).all()
    assert scaled[0, 0] == pytest.approx(1)


def test_a_split_without_an_error_has_the_lowest_temperature_and_no_zero():
    truth = ["a", "b"]
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    assert fit_temperature(truth, probabilities, EMOTIONS) == pytest.approx(LIMITS[0], rel=0.2)
