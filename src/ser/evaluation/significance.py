"""Paired significance tests of two runs that were scored on the same clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def mcnemar_test(right_a: Sequence[bool], right_b: Sequence[bool]) -> float:
    """Compute the two-sided p of McNemar's exact test, on the clips that only one of the two runs predicts right.

    It assumes that clips are independent. Where the protocol is speaker-independent they are not: use
    `permutation_test` with speakers as units. McNemar 1947, Psychometrika 12; exact binomial form.

    Args:
        right_a: whether the first run is right, for each clip.
        right_b: the same clips, of the second run.

    >>> mcnemar_test([True] * 6 + [True, False], [False] * 6 + [True, False])
    0.03125
    """
    first, second = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    only_a, only_b = int((first & ~second).sum()), int((second & ~first).sum())
    if only_a + only_b == 0:
        return 1.0
    from scipy import stats  # a third of a second of imports, for reports that compare

    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def permutation_test(right_a: Sequence[Any], right_b: Sequence[Any], units: Sequence[str]) -> float:
    """Compute the two-sided p of the paired permutation test that flips the sign of each unit's difference.

    The statistic is the mean over the units (speakers) of the difference in accuracy. All signs are tried where there
    are few units, 10 000 random ones otherwise. With n units p is at least `2 / 2^n`: 4 speakers never reach 0.05.
    Fisher 1935, The Design of Experiments, section 21.

    Args:
        right_a: whether the first run is right, for each clip; over several seeds, how often.
        right_b: the same clips, of the second run.
        units: the speaker of each clip.

    >>> permutation_test([True] * 8, [False] * 8, list("aabbccdd"))
    0.125
    """
    difference = np.asarray(right_a, dtype=float) - np.asarray(right_b, dtype=float)
    names = np.asarray(units)
    means = np.array([difference[names == name].mean() for name in np.unique(names)])
    if len(means) < 2 or not means.any():
        return 1.0
    from scipy import stats

    result = stats.permutation_test(
        (means, np.zeros_like(means)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def adjust_holm(values: Sequence[float]) -> list[float]:
    """Adjust p values for several tests: by chance, one or more fall below 0.05 in at most 5 % of cases.

    Holm 1979, Scandinavian Journal of Statistics 6.

    >>> adjust_holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = highest
    return adjusted
