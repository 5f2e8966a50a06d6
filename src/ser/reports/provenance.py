"""Where metrics come from: corpus, protocol, split, checkpoint."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

from ser.config import Protocol, Split
from ser.data.audit import are_new_speakers, count_unknown_speakers, describe_leaks, describe_missing_emotions
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.models.checkpoint import ADAPTED, AUGMENT, INTERMEDIATE, TEACHERS, audio_config
from ser.reports.augmentation_text import describe_augmentation
from ser.reports.protocol_text import (
    describe_adaptation,
    describe_labels,
    describe_protocol,
    describe_teachers,
    describe_trimming,
)

KEY = "key"
"""Metadata of a field: its key in classification_report.json, where that is another than its name."""


@dataclass(frozen=True)
class Provenance:
    """Where the metrics of a report come from."""

    corpus: str
    description: str
    synthetic: bool
    protocol: dict[str, Any]
    """`ser.data.protocols.identify_splits`; of several pooled folds, with theirs under `folds`."""
    split: str = field(metadata={KEY: "scored_on"})
    protocol_text: str = field(metadata={KEY: "in_words"})
    leaks: list[str]
    """What the audit found in several splits, in sentences."""
    speaker_independent: bool = field(metadata={KEY: "speakers_are_new"})
    """Whether no scored speaker occurs in the training split; then speakers are resampled for the intervals, else
    clips."""
    model: str
    seed: int | list[int] | None
    """None: not known, of a checkpoint that `ser` did not write."""
    step: int | None
    """Optimizer steps behind the checkpoint; None where several runs are pooled."""
    speakers_known: bool = True
    """Whether the corpus knows the speakers of the scored and of the training clips."""

    @classmethod
    def from_report(cls, report: dict[str, Any]) -> "Provenance":
        """Read it from the content of classification_report.json."""
        known = {field.name: report[key_of(field)] for field in fields(cls) if key_of(field) in report}
        return cls(**known)

    def to_report(self) -> dict[str, Any]:
        """Return the content of classification_report.json, with the keys of all releases."""
        return {key_of(field): getattr(self, field.name) for field in fields(self)}

    @property
    def run_title(self) -> str:
        """The name of the run in one line."""
        folds = self.protocol.get("folds")
        fold = f" fold {self.protocol['fold']}" if self.protocol["fold"] is not None else ""
        fold = f", {len(folds)} folds" if folds else fold
        corpus = f"{self.corpus.upper()} (no human speech)" if self.synthetic else self.corpus
        seeds = self.seed if isinstance(self.seed, list) else [self.seed]
        seed = f", seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" if self.seed is not None else ""
        return f"{self.model} on {corpus}, protocol {self.protocol['name']}{fold}{seed}"

    @property
    def title(self) -> str:
        """The name of the checkpoint and the split in one line."""
        step = f", step {self.step}" if self.step is not None else ""
        return f"{self.run_title}{step}, {self.split} split"

    @property
    def resampled(self) -> str:
        """What the intervals resample."""
        return "speakers" if self.speaker_independent else "clips"


def build_provenance(
    protocol: Protocol, splits: Splits, split: Split, stamp: dict[str, Any], prepared: PreparedCorpus
) -> Provenance:
    """Describe where the metrics of one run come from."""
    return Provenance(
        corpus=stamp["corpus"],
        description=prepared.facts.description,
        synthetic=prepared.facts.synthetic,
        protocol=stamp["identity"],
        split=split.value,
        protocol_text=" ".join(
            [
                describe_protocol(protocol, [splits], split, selected=not stamp.get(INTERMEDIATE)),
                *describe_missing_emotions([splits], split, prepared.emotions),
                *describe_labels(prepared.labels),
                *describe_trimming(audio_config(stamp).trim),
                *describe_augmentation(stamp.get(AUGMENT, {})),
                *describe_teachers(stamp.get(TEACHERS, [])),
                *describe_adaptation(stamp.get(ADAPTED)),
            ]
        ),
        leaks=describe_leaks(splits, split, prepared.duplicates),
        speaker_independent=are_new_speakers(splits, split),
        model=stamp["model"],
        seed=stamp["seed"],
        step=stamp["step"],
        speakers_known=not count_unknown_speakers(splits, split),
    )


def key_of(field: "Field[Any]") -> str:
    return str(field.metadata.get(KEY, field.name))
