"""How much a metric varies over folds and over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from ser.evaluation.metrics import COUNT_METRICS


@dataclass(frozen=True)
class MeanStd:
    """Mean and standard deviation (n - 1 in the denominator) of a metric."""

    mean: float
    deviation: float
    number: int


@dataclass(frozen=True)
class Variation:
    """The runs behind a pooled metric, and how much they vary."""

    runs: list[dict[str, Any]]
    """Seed, fold, clips, step, seconds and `ser.evaluation.metrics.COUNT_METRICS` of each run."""
    folds: dict[str, MeanStd] = field(default_factory=dict)
    """By metric, over the folds; the value of a fold is its mean over the seeds."""
    seeds: dict[str, MeanStd] = field(default_factory=dict)
    """By metric, over the seeds; the value of a seed is its mean over the folds."""

    @property
    def axes(self) -> dict[str, dict[str, MeanStd]]:
        """`folds` and `seeds`; one that has a single value is left out."""
        return {name: by_metric for name, by_metric in (("folds", self.folds), ("seeds", self.seeds)) if by_metric}

    def describe(self) -> list[str]:
        """Return a line for folds and one for seeds, where there are several."""
        return [
            ", ".join(f"{name.replace('_', ' ')} {m.mean:.3f} +- {m.deviation:.3f}" for name, m in by_metric.items())
            + f" (mean and standard deviation over {next(iter(by_metric.values())).number} {axis})"
            for axis, by_metric in self.axes.items()
        ]


def measure_variation(runs: Sequence[dict[str, Any]]) -> Variation:
    """Compute mean and standard deviation over folds and over seeds."""
    return Variation(list(runs), mean_std_by(runs, "fold"), mean_std_by(runs, "seed"))


def mean_std_by(runs: Sequence[dict[str, Any]], key: str) -> dict[str, MeanStd]:
    """Compute mean and deviation of each metric over the values of `key`; {} where there is one value.

    Args:
        runs: their metrics, seeds and folds.
        key: `fold` or `seed`; the runs that share its value are averaged first.
    """
    values = sorted({run[key] for run in runs}, key=str)
    if len(values) < 2:
        return {}
    # Exact fractions: the order of the runs does not change a digit, which sums of pandas and NumPy do not promise.
    points = {
        name: [mean(run[name] for run in runs if run[key] == value) for value in values] for name in COUNT_METRICS
    }
    return {name: MeanStd(mean(means), stdev(means), len(means)) for name, means in points.items()}
