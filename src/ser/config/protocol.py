"""Config of the protocol that divides a corpus."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Group
from ser.config.identity import INCIDENTAL
from ser.config.paths import PATH
from ser.config.ranges import check_ranges, number
from ser.errors import UserError

LISTS = {"test_speakers": "speaker", "test_sessions": "session", "test_corpora": "corpus"}
"""Key of a list for each fold -> the field of a recording whose values it holds."""
KINDS = ("test_fraction", *LISTS, "group", "test_split", "folds_csv")
"""A protocol has exactly one of these keys."""


@dataclass
class Protocol:
    """The division of a corpus.

    It is one of these: clips at random (`test_fraction`); listed speakers, sessions or corpora (`test_speakers`,
    `test_sessions`, `test_corpora`); folds of them that are computed from the manifest (`group`); the split of the
    corpus itself (`test_split`); or a table (`folds_csv`).
    """

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
    test_sessions: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the sessions or conversations of the test split."""
    test_corpora: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the corpora of the test split, of several corpora together."""
    corpora: list[str] | None = None
    """Use the recordings of these corpora alone, of several corpora together."""
    group: Group | None = None
    """Compute folds of whole groups from the manifest: no speaker, session or corpus stands on both sides."""
    folds: int | None = number(None, least=2)
    """Number of computed folds, stratified by emotion as far as whole groups allow; null: one for each group."""
    test_split: str | None = None
    """Take the splits from the column `split` of the corpus: `train`, `validation`, and this one is tested."""
    folds_csv: str | None = field(default=None, metadata={**PATH, **INCIDENTAL})
    """A CSV with the columns `path` and `fold`: a recording is in the test split of its fold and in the training splits
    of the others; a recording with an empty fold is not used."""
    validation_speakers: int = number(least=0)
    """Number of training speakers, drawn at random, that form the validation split, which selects the checkpoint; 0:
    the test split selects it, except with another `trainer.choose` than `best`."""
    validation_sessions: int = number(0, least=0)
    """Number of training sessions, drawn at random, that form the validation split, instead of speakers."""
    validation_fraction: float | None = number(None, above=0, below=1)
    """Share of the training clips, drawn at random and stratified by emotion, that forms the validation split, instead
    of speakers."""
    named_validation_speakers: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the speakers of the validation split, instead of drawn ones."""
    reference: str = MISSING
    """Publication of the protocol."""

    def __post_init__(self) -> None:
        """Raise a UserError for a protocol that is not one of the kinds, and for an unknown fold."""
        check_ranges(self, "protocol.")
        for key in (*LISTS, "named_validation_speakers"):
            # Speakers are strings, also where YAML reads a number.
            setattr(self, key, {fold: [str(name) for name in row] for fold, row in getattr(self, key).items()})
        if self.group is not None and self.listed:
            self.group, self.folds = None, None  # lists that a user gives replace folds that would be computed
        if len(given := [key for key in KINDS if getattr(self, key)]) != 1:
            raise UserError(
                f"protocol '{self.name}': give one of {', '.join(f'protocol.{key}' for key in KINDS)}; "
                f"it has {' and '.join(given) or 'none'}"
            )
        self.check_fold()
        for key in LISTS:
            if empty := [fold for fold, names in getattr(self, key).items() if not names]:
                raise UserError(f"protocol.{key}: fold {empty[0]} tests nobody")
        if self.folds is not None and self.group is None:
            raise UserError(f"protocol.folds={self.folds}: only a protocol with protocol.group computes folds")
        self.check_validation()

    def check_fold(self) -> None:
        """Raise a UserError for a fold that the protocol does not have."""
        if self.fold is None or self.folds_csv is not None or self.group is not None or self.fold in self.listed:
            return
        choices = ", ".join(map(str, sorted(self.listed)))
        raise UserError(
            f"protocol.fold={self.fold}: protocol '{self.name}' has "
            + (f"the folds {choices}; null runs all of them" if choices else "no folds: it must be null")
        )

    def check_validation(self) -> None:
        """Raise a UserError where the validation split is not described in one way."""
        ways = ("validation_speakers", "validation_sessions", "validation_fraction")
        if len(given := [key for key in ways if getattr(self, key)]) > 1:
            both = " and ".join(f"protocol.{key}={getattr(self, key)}" for key in given)
            raise UserError(f"{both}: give one of them; 0 or null switches the other off")
        if self.test_fraction is not None and (self.validation_speakers or self.validation_sessions):
            raise UserError(
                f"protocol.{given[0]}={getattr(self, given[0])}: it must be 0 where clips are drawn at random; "
                "protocol.validation_fraction draws clips"
            )
        for key in ("test_statements", "named_validation_speakers"):
            if unknown := sorted(set(getattr(self, key)) - set(self.test_speakers)):
                raise UserError(f"protocol.{key}: protocol.test_speakers has no fold {unknown[0]}")

    @property
    def listed(self) -> dict[int, list[str]]:
        """The tested speakers, sessions or corpora of each fold; empty for another kind of protocol."""
        return next((getattr(self, key) for key in LISTS if getattr(self, key)), {})

    @property
    def unit(self) -> str:
        """The field of a recording by which a protocol of lists divides."""
        return next((unit for key, unit in LISTS.items() if getattr(self, key)), "speaker")
