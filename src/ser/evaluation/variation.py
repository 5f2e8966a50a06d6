"""How much a number changes from fold to fold and from seed to seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from ser.evaluation.metrics import SUMMARY


@dataclass(frozen=True)
class Over:
    """Mean and standard deviation (n - 1 in the denominator) of a metric."""

    mean: float
    deviation: float
    number: int


@dataclass(frozen=True)
class Spread:
    """The runs behind a pooled number."""

    runs: list[dict[str, Any]]
    """Of each run: seed, fold, clips, step, seconds and the metrics of `SUMMARY`."""
    folds: dict[str, Over] = field(default_factory=dict)
    """By metric, over the folds, each fold's value being its mean over the seeds."""
    seeds: dict[str, Over] = field(default_factory=dict)
    """By metric, over the seeds, each seed's value being its mean over the folds."""

    def in_words(self) -> list[str]:
        """A line for folds and one for seeds, where there are several."""
        return [
            ", ".join(f"{name.replace('_', ' ')} {o.mean:.3f} +- {o.deviation:.3f}" for name, o in over.items())
            + f" (mean and standard deviation over {next(iter(over.values())).number} {what})"
            for what, over in (("folds", self.folds), ("seeds", self.seeds))
            if over
        ]


def spread(runs: Sequence[dict[str, Any]]) -> Spread:
    """Mean and standard deviation over the folds and over the seeds of some runs."""
    return Spread(list(runs), over(runs, "fold", "seed"), over(runs, "seed", "fold"))


def over(runs: Sequence[dict[str, Any]], what: str, averaged: str) -> dict[str, Over]:
    """By metric, mean and deviation over the values of `what`, each the mean over those of `averaged`; {} of one."""
    values = sorted({run[what] for run in runs}, key=str)
    if len(values) < 2:
        return {}
    found = {}
    for name in SUMMARY:
        points = [mean(run[name] for run in runs if run[what] == value) for value in values]
        found[name] = Over(mean(points), stdev(points), len(points))
    return found
