"""How far a number can be trusted: bootstrap intervals that resample what is independent.

Two clips of one speaker are not two observations of "a speaker whom the model has not heard": where the tested speakers
are new to the model, whole speakers are resampled. Where they also speak in the training list, the number is about
further clips of the same people, and clips are resampled.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

RESAMPLES = 2000
LEVEL = 0.95

Counts = npt.NDArray[np.float64]
"""Confusion counts, `(..., truth, prediction)`: what every metric of `SUMMARY` is a function of."""


class Interval(NamedTuple):
    low: float
    high: float


def accuracy(counts: Counts) -> npt.NDArray[np.float64]:
    return np.asarray(hits(counts).sum(axis=-1) / counts.sum(axis=(-2, -1)))


def unweighted_average_recall(counts: Counts) -> npt.NDArray[np.float64]:
    return np.asarray(shared(hits(counts), counts.sum(axis=-1)).mean(axis=-1))


def macro_f1(counts: Counts) -> npt.NDArray[np.float64]:
    return np.asarray(f1(counts).mean(axis=-1))


def weighted_f1(counts: Counts) -> npt.NDArray[np.float64]:
    supports = counts.sum(axis=-1)
    return np.asarray((f1(counts) * supports).sum(axis=-1) / supports.sum(axis=-1))


def hits(counts: Counts) -> Counts:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def f1(counts: Counts) -> Counts:
    return shared(2 * hits(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def shared(part: Counts, whole: Counts) -> Counts:
    """`part / whole`; 0 where a resample holds none of an emotion, as scikit-learn's `zero_division=0`."""
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)


OF_COUNTS: dict[str, Callable[[Counts], npt.NDArray[np.float64]]] = {
    "accuracy": accuracy,
    "unweighted_average_recall": unweighted_average_recall,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
}
"""`ser.evaluation.metrics.SUMMARY`, of thousands of resamples at once (a test holds the two together)."""


def intervals(
    truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any], units: Sequence[Hashable]
) -> dict[str, Interval]:
    """95 % confidence intervals of the metrics of `OF_COUNTS`.

    The standard error is that of a bootstrap which draws whole units (2000 times, the same for the same answers); the
    interval is Student's t with `units - 1` degrees of freedom on the logit scale. In simulations with 4 to 24 speakers
    its coverage was 94-96 %, where the plain percentile interval had 79 % (4 speakers) to 93 % (24): it lacks the
    factor `n / (n - 1)` and the tails of t (Hesterberg 2015, The American Statistician 69).

    Args:
        truth: the true label of each clip.
        prediction: the predicted one.
        labels: all labels that exist.
        units: for each clip what it is resampled with (its speaker, or itself); answers of several models to one clip
            belong to one unit.

    Returns:
        By metric; (0, 1) where there is only one unit, which says nothing about others.
    """
    counts = counts_of_units(truth, prediction, labels, units)
    number = len(counts)
    resampled = np.tensordot(draws(number), counts, axes=1)
    return {
        name: interval(float(metric(counts.sum(axis=0))), metric(resampled), number)
        for name, metric in OF_COUNTS.items()
    }


@lru_cache(maxsize=4)
def draws(units: int) -> npt.NDArray[np.float64]:
    """How often each unit is drawn in each resample, `(RESAMPLES, units)`."""
    return np.random.default_rng(0).multinomial(units, np.full(units, 1 / units), size=RESAMPLES).astype(np.float64)


def counts_of_units(
    truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any], units: Sequence[Hashable]
) -> Counts:
    """The confusion counts of each unit, `(units, truth, prediction)`."""
    place = {label: index for index, label in enumerate(labels)}
    row = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    counts = np.zeros((len(row), len(labels), len(labels)))
    np.add.at(counts, ([row[u] for u in units], [place[t] for t in truth], [place[p] for p in prediction]), 1)
    return counts


def interval(estimate: float, resampled: npt.NDArray[np.float64], units: int) -> Interval:
    """The interval of one metric, from its value in each resample."""
    if units < 2:
        return Interval(0.0, 1.0)
    tail = (1 - LEVEL) / 2
    if estimate in (0.0, 1.0):
        # No resample differs from the estimate: what n right answers out of n exclude (Clopper & Pearson 1934).
        bound = tail ** (1 / units)
        return Interval(bound, 1.0) if estimate else Interval(0.0, 1 - bound)
    error = float(resampled.std(ddof=1)) * np.sqrt(units / (units - 1)) / (estimate * (1 - estimate))
    reach = float(stats.t.ppf(1 - tail, units - 1)) * error
    centre = np.log(estimate / (1 - estimate))
    low, high = 1 / (1 + np.exp(-(centre + np.array([-reach, reach]))))
    return Interval(float(low), float(high))
