import numpy as np
import pytest
from scipy import stats

from ser.evaluation.significance import adjust_holm, mcnemar_test, permutation_test


def test_mcnemar_looks_only_at_the_clips_that_one_run_has_right():
    a, b = [True] * 9 + [False] * 3, [False] * 9 + [True] * 3
    expected = stats.binomtest(9, 12).pvalue
    assert mcnemar_test(a, b) == pytest.approx(expected)
    assert mcnemar_test(a + [True] * 500, b + [True] * 500) == pytest.approx(expected)
    assert mcnemar_test(b, a) == pytest.approx(expected)


def test_equal_runs_do_not_differ():
    assert mcnemar_test([True, False], [True, False]) == 1
    assert permutation_test([True, False], [True, False], ["1", "2"]) == 1


def test_speakers_count_once_each_however_many_clips_they_have():
    # One talkative speaker makes all the difference between the runs: clips are convinced, speakers are not.
    a, b = [True] * 100 + [True, False] * 4, [False] * 100 + [False, True] * 4
    speakers = ["1"] * 100 + [str(speaker) for speaker in range(2, 10)]
    assert mcnemar_test(a, b) < 1e-6
    assert permutation_test(a, b, speakers) > 0.5


def test_four_speakers_can_show_nothing():
    assert permutation_test([True] * 40, [False] * 40, list("1234") * 10) == pytest.approx(2 / 2**4)


def test_many_speakers_are_tested_by_random_signs_and_always_the_same_ones():
    generator = np.random.default_rng(0)
    speakers = [str(speaker) for speaker in range(24) for _ in range(10)]
    a, b = generator.random(240) < 0.8, generator.random(240) < 0.6
    assert permutation_test(a, b, speakers) == permutation_test(a, b, speakers) < 0.01


def test_under_the_null_hypothesis_a_p_below_5_percent_occurs_in_5_percent_of_cases():
    generator = np.random.default_rng(1)
    speakers = [str(speaker) for speaker in range(10) for _ in range(6)]
    found = []
    for _ in range(300):
        ease = np.repeat(generator.uniform(0.3, 0.9, 10), 6)
        found.append(permutation_test(generator.random(60) < ease, generator.random(60) < ease, speakers))
    assert np.mean(np.array(found) < 0.05) <= 0.08


def test_holm_never_makes_a_p_smaller_and_keeps_their_order():
    values = [0.2, 0.001, 0.04, 0.03]
    adjusted = adjust_holm(values)
    assert adjusted == [pytest.approx(0.2), pytest.approx(0.004), pytest.approx(0.09), pytest.approx(0.09)]
    assert adjust_holm([]) == []
