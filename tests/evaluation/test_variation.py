import pytest

from ser.evaluation.metrics import COUNT_METRICS
from ser.evaluation.variation import measure_variation


def run(seed, fold, value):
    return {"seed": seed, "fold": fold, **dict.fromkeys(COUNT_METRICS, value)}


def test_folds_and_seeds_have_each_their_mean_and_deviation():
    found = measure_variation([run(0, 1, 0.5), run(0, 2, 0.7), run(1, 1, 0.7), run(1, 2, 0.9)])
    folds, seeds = found.folds["accuracy"], found.seeds["accuracy"]
    assert (folds.mean, seeds.mean) == (pytest.approx(0.7), pytest.approx(0.7))
    # Folds: 0.6 and 0.8; seeds: 0.6 and 0.8.
    assert folds.deviation == pytest.approx(0.2 / 2**0.5)
    assert seeds.deviation == pytest.approx(0.2 / 2**0.5)
    assert (folds.number, seeds.number) == (2, 2)


def test_one_seed_has_no_deviation_over_seeds():
    found = measure_variation([run(0, 1, 0.5), run(0, 2, 0.7)])
    assert found.seeds == {}
    assert found.describe() == [
        "accuracy 0.600 +- 0.141, unweighted average recall 0.600 +- 0.141, macro f1 0.600 +- 0.141, "
        "weighted f1 0.600 +- 0.141 (mean and standard deviation over 2 folds)"
    ]
