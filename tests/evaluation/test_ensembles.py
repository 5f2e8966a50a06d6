import numpy as np
import pytest

from ser.config import Ensemble
from ser.data.manifest import Utterance
from ser.evaluation.ensembles import combine_for_scores, compare_members
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.significance import mcnemar_test, permutation_test

EACH = [
    np.array([[0.4, 0.6, 0.0], [0.5, 0.4, 0.1]]),
    np.array([[0.4, 0.6, 0.0], [0.0, 0.9, 0.1]]),
    np.array([[1.0, 0.0, 0.0], [0.1, 0.3, 0.6]]),
]


def test_the_mean_of_probabilities_is_scored():
    assert np.allclose(combine_for_scores(EACH, Ensemble.mean), np.mean(EACH, axis=0))


def test_the_highest_score_after_a_vote_is_what_the_vote_predicts():
    voted = combine_for_scores(EACH, Ensemble.vote)
    assert voted.argmax(axis=1).tolist() == [1, 1], "two of three; and of three single votes the mean decides"
    assert np.allclose(voted, [[1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-5)
    assert np.allclose(voted.sum(axis=1), 1)


def test_a_single_checkpoint_keeps_its_probabilities():
    assert combine_for_scores(EACH[:1], Ensemble.vote).tolist() == EACH[0].tolist()


def members():
    """12 speakers with 4 clips each: the ensemble is right on all, one member on three quarters, one on all."""
    rows = [Utterance(path=f"{s}/{n}.wav", emotion="ab"[n % 2], speaker=str(s)) for s in range(12) for n in range(4)]
    right = np.eye(2)[[n % 2 for _ in range(12) for n in range(4)]]
    worse = right.copy()
    worse[::4] = worse[::4, ::-1]
    return SplitPredictions(rows, ("a", "b"), right), {"worse": worse, "as good": right}


@pytest.mark.parametrize("independent", [True, False])
def test_each_member_is_tested_against_the_ensemble_on_the_units_of_the_protocol(independent):
    ensemble, each = members()
    units = [row.speaker if independent else row.path for row in ensemble.utterances]
    worse, as_good = compare_members(ensemble, each, units, independent)
    assert (worse.name, worse.accuracy, worse.difference) == ("worse", 0.75, 0.25)
    assert worse.unweighted_average_recall == pytest.approx(0.75)
    assert worse.interval_low <= 0.75 <= worse.interval_high
    own = [n % 4 != 0 for n in range(48)]
    expected = permutation_test([True] * 48, own, units) if independent else mcnemar_test([True] * 48, own)
    assert worse.p == expected < 0.01
    assert worse.adjusted == pytest.approx(2 * expected)
    assert (as_good.difference, as_good.p) == (0.0, 1.0)
