"""Config of the corpus, and of the protocol that divides it."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.identity import INCIDENTAL
from ser.config.paths import PATH
from ser.config.ranges import check_ranges, number
from ser.errors import UserError


@dataclass
class Corpus:
    name: str = MISSING
    """Name of a module of `ser.corpora`."""


@dataclass
class Protocol:
    """The division of a corpus: clips at random (`test_fraction`), whole speakers (`test_speakers`) or a table."""

    name: str = MISSING
    """The name of the protocol, which is part of the names of folders and is printed with every score."""
    seed: int = number(least=0, most=2**32 - 1)
    """Seed of the draw of clips (`test_fraction`) or of validation speakers; independent of the training seed."""
    fold: int | None = None
    """One of the folds; null: all of them, one after the other."""
    test_fraction: float | None = number(None, above=0, below=1)
    """Share of clips in the test split, drawn at random and stratified by emotion."""
    test_speakers: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the speakers of the test split; none of their recordings is in the training split."""
    test_statements: dict[int, str] = field(default_factory=dict)
    """For each fold the one sentence of the test split; it is not in the training split. Empty: all sentences are in
    both splits."""
    folds_csv: str | None = field(default=None, metadata={**PATH, **INCIDENTAL})
    """A CSV with the columns `path` and `fold`: a recording is in the test split of its fold and in the training splits
    of the others; a recording with an empty fold is not used."""
    validation_speakers: int = number(least=0)
    """Number of training speakers, drawn at random, that form the validation split, which selects the checkpoint; 0:
    the test split selects it."""
    named_validation_speakers: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the speakers of the validation split, instead of drawn ones."""
    reference: str = MISSING
    """Publication of the protocol."""

    def __post_init__(self) -> None:
        """Raise a UserError for a protocol that is not one of the three kinds, and for an unknown fold."""
        check_ranges(self, "protocol.")
        for key in ("test_speakers", "named_validation_speakers"):
            # Speakers are strings, also where YAML reads a number.
            setattr(self, key, {fold: [str(speaker) for speaker in row] for fold, row in getattr(self, key).items()})
        kinds = {"test_fraction": self.test_fraction, "test_speakers": self.test_speakers, "folds_csv": self.folds_csv}
        if len(given := [key for key, value in kinds.items() if value]) != 1:
            raise UserError(
                f"protocol '{self.name}': give one of {', '.join(f'protocol.{key}' for key in kinds)}; "
                f"it has {' and '.join(given) or 'none'}"
            )
        if self.fold is not None and self.folds_csv is None and self.fold not in self.test_speakers:
            choices = ", ".join(map(str, sorted(self.test_speakers)))
            raise UserError(
                f"protocol.fold={self.fold}: protocol '{self.name}' has "
                + (f"the folds {choices}; null runs all of them" if choices else "no folds: it must be null")
            )
        if empty := [fold for fold, speakers in self.test_speakers.items() if not speakers]:
            raise UserError(f"protocol.test_speakers: fold {empty[0]} tests nobody")
        if self.test_fraction is not None and self.validation_speakers > 0:
            raise UserError(
                f"protocol.validation_speakers={self.validation_speakers}: it must be 0 where clips are drawn at random"
            )
        for key in ("test_statements", "named_validation_speakers"):
            if unknown := sorted(set(getattr(self, key)) - set(self.test_speakers)):
                raise UserError(f"protocol.{key}: protocol.test_speakers has no fold {unknown[0]}")
