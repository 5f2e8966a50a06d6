"""The metrics of a split and where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ser.evaluation.calibration import Calibration
from ser.evaluation.ensembles import MemberRow
from ser.evaluation.intervals import ConfidenceInterval, bootstrap_intervals
from ser.evaluation.metrics import PROBABILITY_METRICS, Bin, bin_by_confidence, confusion_matrix, summarize
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.stress import StressRow, tabulate
from ser.evaluation.subgroups import Subgroup, evaluate_subgroups
from ser.evaluation.variation import Variation
from ser.models.arrays import Probabilities
from ser.reports.provenance import Provenance


@dataclass(frozen=True)
class Report:
    """The predictions of a split and all that is computed from them."""

    predictions: SplitPredictions
    provenance: Provenance
    metrics: dict[str, float]
    """`COUNT_METRICS` and `PROBABILITY_METRICS`, by name."""
    intervals: dict[str, ConfidenceInterval]
    """95 %, of `COUNT_METRICS`."""
    units: int
    """Number of speakers or clips that the intervals resample."""
    counts: list[list[int]]
    """Confusion counts `(truth, prediction)`."""
    subgroups: dict[str, list[Subgroup]]
    """By speaker, gender, intensity and statement."""
    bins: list[Bin]
    """Accuracy by confidence."""
    variation: Variation | None
    """Over folds and seeds, where several runs are pooled."""
    stress: Sequence[StressRow] = ()
    """The clean clips and each condition, where degraded clips were scored."""
    members: Sequence[MemberRow] = ()
    """Each member of an ensemble."""
    calibration: Calibration | None = None
    """Of the probabilities, where they were scaled."""


def build_report(
    predictions: SplitPredictions,
    provenance: Provenance,
    variation: Variation | None = None,
    stressed: Mapping[str, Probabilities] | None = None,
) -> Report:
    """Compute the metrics of a split.

    Args:
        predictions: of the split.
        provenance: where they come from.
        variation: over folds and seeds, where several runs are pooled.
        stressed: by condition, the probabilities of the same clips; see `ser.evaluation.stress`.
    """
    truth, labels, emotions = predictions.truth, predictions.labels, list(predictions.emotions)
    counts, probabilities = confusion_matrix(truth, labels, emotions), predictions.probabilities
    calibration = {name: metric.compute(truth, probabilities, emotions) for name, metric in PROBABILITY_METRICS.items()}
    units = units_of(predictions, provenance)
    return Report(
        predictions=predictions,
        provenance=provenance,
        metrics={**summarize(counts), **calibration},
        intervals=bootstrap_intervals(truth, labels, emotions, units),
        units=len(set(units)),
        counts=counts.tolist(),
        subgroups=evaluate_subgroups(predictions.utterances, labels),
        bins=bin_by_confidence(truth, probabilities, emotions),
        variation=variation,
        stress=tabulate(predictions, stressed, units) if stressed else (),
    )


def units_of(predictions: SplitPredictions, provenance: Provenance) -> list[str]:
    """Return what the intervals resample, for each clip: its speaker or, unless speakers are new, its path."""
    return [row.speaker if provenance.speaker_independent else row.path for row in predictions.utterances]
