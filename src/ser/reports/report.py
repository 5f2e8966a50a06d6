"""The metrics of a scored split and where they come from."""

from dataclasses import dataclass

from ser.evaluation import metrics
from ser.evaluation.intervals import Interval, intervals
from ser.evaluation.metrics import Bin
from ser.evaluation.scored import Scored
from ser.evaluation.subgroups import Group, breakdown
from ser.evaluation.variation import Spread
from ser.reports.provenance import Provenance


@dataclass(frozen=True)
class Report:
    """What was measured on a scored list."""

    scored: Scored
    provenance: Provenance
    numbers: dict[str, float]
    """`metrics.SUMMARY` and `metrics.OF_PROBABILITIES`, by name."""
    intervals: dict[str, Interval]
    """95 %, of those of `metrics.SUMMARY`."""
    units: int
    """How many speakers or clips the intervals resample."""
    counts: list[list[int]]
    """Confusion counts `(truth, prediction)`."""
    groups: dict[str, list[Group]]
    """By speaker, gender, intensity and statement."""
    bins: list[Bin]
    """Confidence against accuracy."""
    spread: Spread | None
    """Over folds and seeds, where several are pooled."""


def measured(scored: Scored, provenance: Provenance, spread: Spread | None = None) -> Report:
    """Measure a list."""
    truth, prediction, emotions = scored.truth, scored.prediction, list(scored.emotions)
    numbers = metrics.summary(truth, prediction, emotions)
    for name, metric in metrics.OF_PROBABILITIES.items():
        numbers[name] = metric(truth, scored.probabilities, emotions)
    units = [row.speaker if provenance.speakers_are_new else row.path for row in scored.utterances]
    return Report(
        scored=scored,
        provenance=provenance,
        numbers=numbers,
        intervals=intervals(truth, prediction, emotions, units),
        units=len(set(units)),
        counts=metrics.confusion_matrix(truth, prediction, emotions),
        groups=breakdown(scored.utterances, prediction),
        bins=metrics.reliability(truth, scored.probabilities, emotions),
        spread=spread,
    )
