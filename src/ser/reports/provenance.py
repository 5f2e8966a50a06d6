"""Where a number comes from: corpus, protocol, split, checkpoint."""

from dataclasses import dataclass, fields
from typing import Any

from ser.config import Protocol, Split
from ser.corpora import CORPORA
from ser.data.audit import leaks, missing_emotions, shared_speakers
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.models.checkpoint import ON_THE_WAY, audio_of
from ser.reports.protocol_text import in_words, silence


@dataclass(frozen=True)
class Provenance:
    """Where a number comes from; it stands beside each."""

    corpus: str
    description: str
    synthetic: bool
    protocol: dict[str, Any]
    """`ser.data.protocols.identity`; of several folds pooled, with the list `folds` of theirs."""
    scored_on: str
    in_words: str
    leaks: list[str]
    """What the audit found on both sides, in sentences."""
    speakers_are_new: bool
    """Whether no tested speaker was heard in training; then speakers are resampled for the intervals, else clips."""
    model: str
    seed: int | list[int]
    step: int | None
    """Optimizer steps behind the checkpoint; None where several are pooled."""

    @classmethod
    def of(cls, report: dict[str, Any]) -> "Provenance":
        """Read it back from classification_report.json."""
        return cls(**{field.name: report[field.name] for field in fields(cls)})

    @property
    def run_title(self) -> str:
        """The run in one line."""
        folds = self.protocol.get("folds")
        fold = f" fold {self.protocol['fold']}" if self.protocol["fold"] is not None else ""
        fold = f", {len(folds)} folds" if folds else fold
        corpus = f"{self.corpus.upper()} (no human speech)" if self.synthetic else self.corpus
        seeds = self.seed if isinstance(self.seed, list) else [self.seed]
        seed = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        return f"{self.model} on {corpus}, protocol {self.protocol['name']}{fold}, {seed}"

    @property
    def title(self) -> str:
        """The number in one line."""
        step = f", step {self.step}" if self.step is not None else ""
        return f"{self.run_title}{step}, {self.scored_on} list"

    @property
    def resampled(self) -> str:
        """What the intervals resample."""
        return "speakers" if self.speakers_are_new else "clips"


def provenance_of(
    protocol: Protocol, splits: Splits, split: Split, stamp: dict[str, Any], prepared: PreparedCorpus
) -> Provenance:
    """Where the number of one run comes from."""
    corpus = CORPORA[stamp["corpus"]]
    return Provenance(
        corpus=stamp["corpus"],
        description=corpus.DESCRIPTION,
        synthetic=corpus.SYNTHETIC,
        protocol=stamp["identity"],
        scored_on=split.value,
        in_words=" ".join(
            [
                in_words(protocol, [splits], split, chosen=not stamp.get(ON_THE_WAY)),
                *missing_emotions([splits], split, prepared.emotions),
                *silence(audio_of(stamp).trim),
            ]
        ),
        leaks=leaks(splits, split, prepared.copies),
        speakers_are_new=not shared_speakers(splits, split),
        model=stamp["model"],
        seed=stamp["seed"],
        step=stamp["step"],
    )
