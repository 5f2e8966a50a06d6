"""Where metrics come from: corpus, protocol, split, checkpoint."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

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
        seed = f", seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}" if self.seeds else ""
        return f"{self.model} on {corpus}, protocol {self.protocol['name']}{fold}{seed}"

    @property
    def seeds(self) -> list[int]:
        """The seeds of training that are known."""
        given = self.seed if isinstance(self.seed, list) else [self.seed]
        return [seed for seed in given if seed is not None]

    @property
    def title(self) -> str:
        """The name of the checkpoint and the split in one line."""
        step = f", step {self.step}" if self.step is not None else ""
        return f"{self.run_title}{step}, {self.split} split"

    @property
    def resampled(self) -> str:
        """What the intervals resample."""
        return "speakers" if self.speaker_independent else "clips"


def key_of(field: "Field[Any]") -> str:
    return str(field.metadata.get(KEY, field.name))
