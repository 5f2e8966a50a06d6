"""Whether two runs that answered the same clips differ by more than chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> float:
    """Two-sided p of McNemar's exact test: of the clips that only one run has right, does either have more than half?

    It takes clips for independent, which they are where the tested speakers are heard in training; otherwise
    `by_unit` with the speakers is the honest one. McNemar 1947, Psychometrika 12; exact binomial form.

    Args:
        right_a: for each clip whether the first run has it right.
        right_b: the same clips, of the second run.

    >>> mcnemar([True] * 6 + [True, False], [False] * 6 + [True, False])
    0.03125
    """
    first, second = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    only_a, only_b = int((first & ~second).sum()), int((second & ~first).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def by_unit(right_a: Sequence[Any], right_b: Sequence[Any], units: Sequence[str]) -> float:
    """Two-sided p of the paired permutation test over units (speakers): the sign of each unit's difference is free.

    The statistic is the mean over the units of the difference in accuracy; all signs are tried where there are few
    units, 10 000 random ones otherwise. With n units p cannot fall below `2 / 2^n`: 4 speakers can show nothing.
    Fisher 1935, The Design of Experiments, section 21.

    Args:
        right_a: for each clip whether (or, over several seeds, how often) the first run has it right.
        right_b: the same clips, of the second run.
        units: for each clip its speaker.

    >>> by_unit([True] * 8, [False] * 8, list("aabbccdd"))
    0.125
    """
    difference = np.asarray(right_a, dtype=float) - np.asarray(right_b, dtype=float)
    names = np.asarray(units)
    means = np.array([difference[names == name].mean() for name in np.unique(names)])
    if len(means) < 2 or not means.any():
        return 1.0
    tried = stats.permutation_test(
        (means, np.zeros_like(means)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        rng=np.random.default_rng(0),
    )
    return float(tried.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Adjust the p values of several tests, so that any of them falls below 0.05 by chance in 5 % of cases at most.

    Holm 1979, Scandinavian Journal of Statistics 6.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = highest
    return adjusted
