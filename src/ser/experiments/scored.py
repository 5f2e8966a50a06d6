"""What an evaluation has computed, and the report on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ser import config
from ser.config import Ensemble
from ser.data.prepared_corpus import PreparedCorpus
from ser.evaluation.calibration import Calibration
from ser.evaluation.ensembles import compare_members
from ser.evaluation.perturbed import describe_perturbed_copies
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.speaker_normalization import TEXT
from ser.evaluation.variation import Variation
from ser.models.arrays import Probabilities
from ser.reports.provenance import Provenance
from ser.reports.report import Report, build_report, units_of

HOW = {Ensemble.mean: "the mean of their probabilities", Ensemble.vote: "the shares of their votes"}


@dataclass(frozen=True)
class Scored:
    """The predictions of a split, where they come from, and what else the same models predicted."""

    predictions: SplitPredictions
    provenance: Provenance
    prepared: PreparedCorpus
    stressed: Mapping[str, Probabilities] | None = None
    """By condition, of the degraded clips, where they were asked for."""
    members: Mapping[str, Probabilities] | None = None
    """By name, of the members of an ensemble."""
    calibration: Calibration | None = None
    variation: Variation | None = None
    """Over the folds, where several were scored."""

    def build_report(self) -> Report:
        """Compute the metrics."""
        report = build_report(self.predictions, self.provenance, self.variation, self.stressed)
        if self.members:
            independent = self.provenance.speaker_independent
            units = units_of(self.predictions, self.provenance)
            report = replace(report, members=compare_members(self.predictions, self.members, units, independent))
        return replace(report, calibration=self.calibration)


def describe_prediction(provenance: Provenance, cfg: config.Evaluate) -> Provenance:
    """Say where a prediction depends on more than its clip: on other clips of the speaker, or on perturbed copies."""
    copies = describe_perturbed_copies(cfg.test_time_copies)
    if not cfg.speaker_normalization:
        return replace(provenance, protocol_text=" ".join([provenance.protocol_text, *copies]))
    return replace(
        provenance,
        model=f"speaker-normalised {provenance.model}",
        protocol_text=" ".join([TEXT, provenance.protocol_text, *copies]),
    )
