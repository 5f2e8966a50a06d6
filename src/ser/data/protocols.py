"""Protocols: divide a corpus into splits. Pure functions of the manifest and the protocol."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.model_selection import train_test_split

from ser.config import Protocol, Split
from ser.data.folds_csv import path_in_corpus, read_folds_csv
from ser.data.groups import check_known, choose_corpora, draw_groups, plural, resolve_protocol, sort_by_speaker
from ser.data.manifest import Utterance, natural_key
from ser.errors import UserError


@dataclass(frozen=True)
class Splits:
    """The three splits of a corpus by one fold of a protocol.

    `validation` is empty where the checkpoint is chosen on the test split.
    """

    train: list[Utterance]
    validation: list[Utterance]
    test: list[Utterance]

    def get(self, split: Split) -> list[Utterance]:
        return {Split.train: self.train, Split.validation: self.validation, Split.test: self.test}[split]

    @property
    def selection_split(self) -> Split:
        """The split that selects the checkpoint."""
        return Split.validation if self.validation else Split.test


def list_folds(protocol: Protocol) -> list[int | None]:
    """Return the folds that a protocol asks for: one, all of them, or [None] where it has none.

    Raises:
        UserError: the table of folds cannot be read, holds no fold, or lacks the one that is asked for.
    """
    assert protocol.group is None  # `resolve_protocol` has replaced it by lists
    places = read_folds_csv(protocol).values() if protocol.folds_csv else protocol.listed
    known = sorted({fold for fold in places if fold is not None})
    if protocol.folds_csv and not known:
        raise UserError(f"{protocol.folds_csv}: no recording in it has a fold")
    if protocol.fold is None:
        return [*known] or [None]
    if protocol.fold not in known:
        raise UserError(f"protocol.fold={protocol.fold}: {protocol.folds_csv} has the folds {known}")
    return [protocol.fold]


def split_corpus(utterances: Sequence[Utterance], protocol: Protocol) -> Splits:
    """Divide a corpus by one fold of a protocol, the first where it names none.

    The lists do not depend on where the files lie: recordings are ordered by speaker and name.

    Raises:
        UserError: the corpus lacks what the protocol names, or a list would be empty.
    """
    ordered = sort_by_speaker(choose_corpora(utterances, protocol))
    protocol = resolve_protocol(ordered, protocol)
    if protocol.test_fraction is not None:
        return split_by_clips(ordered, protocol)
    if protocol.test_split is not None:
        return split_officially(ordered, protocol)
    fold = list_folds(protocol)[0]
    assert fold is not None  # only drawn clips and the corpus's own split have no folds
    if protocol.folds_csv is not None:
        return split_by_table(ordered, protocol, fold)
    return split_by_groups(ordered, protocol, fold)


def split_by_clips(ordered: list[Utterance], protocol: Protocol) -> Splits:
    """Draw the tested clips at random, emotions in proportion; speakers end up on both sides."""
    assert protocol.test_fraction is not None
    others, test = draw_clips(ordered, protocol.test_fraction, protocol)
    train, validation = others, list[Utterance]()
    if protocol.validation_fraction is not None:
        train, validation = draw_clips(others, protocol.validation_fraction, protocol)
    return Splits(train=sort_by_path(train), validation=sort_by_path(validation), test=sort_by_path(test))


def draw_clips(
    ordered: list[Utterance], fraction: float, protocol: Protocol
) -> tuple[list[Utterance], list[Utterance]]:
    """Divide clips at random into the rest and a fraction of them, emotions in proportion."""
    emotions = [row.emotion for row in ordered]
    try:
        rest, drawn = train_test_split(ordered, test_size=fraction, stratify=emotions, random_state=protocol.seed)
    except ValueError as error:
        raise UserError(
            f"protocol '{protocol.name}': {len(ordered)} recordings cannot be divided by {fraction:g} ({error}); take "
            "a larger share (protocol.test_fraction, protocol.validation_fraction), or leave rare emotions out "
            "(corpus.emotions)"
        ) from error
    return rest, drawn


def split_officially(ordered: list[Utterance], protocol: Protocol) -> Splits:
    """Take the splits that the corpus itself gives; recordings of other splits are not used."""
    known = sorted({row.split for row in ordered})
    if known == [""]:
        raise UserError(
            f"protocol '{protocol.name}': the corpus has no split of its own (no column 'split' in its manifest)"
        )
    by_split = {name: [row for row in ordered if row.split == name] for name in known}
    for name in ("train", protocol.test_split or ""):
        if name not in by_split:
            raise UserError(
                f"protocol.test_split={protocol.test_split}: the corpus has no split {name}; it has "
                f"{', '.join(name or 'recordings without one' for name in known)}"
            )
    test, others = by_split[protocol.test_split or ""], by_split["train"]
    if "validation" in by_split and not protocol.validation_fraction:
        return Splits(train=others, validation=by_split["validation"], test=test)
    return hold_out(others, test, protocol, fold=1)


def split_by_groups(ordered: list[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Test the speakers (sessions, corpora) of the fold, and of their recordings its sentence where it has one."""
    unit, tested = protocol.unit, set(protocol.listed[fold])
    if missing := sorted(tested - {getattr(row, unit) for row in ordered}, key=natural_key):
        raise UserError(
            f"protocol '{protocol.name}', fold {fold}: no recordings of the test {plural(unit)} {', '.join(missing)}"
        )
    check_known(ordered, unit, protocol)
    statement = protocol.test_statements.get(fold)
    if statement is not None and statement not in {row.statement for row in ordered}:
        raise UserError(f"protocol '{protocol.name}', fold {fold}: no recordings of the statement {statement}")
    inside = [getattr(row, unit) in tested for row in ordered]
    test = [row for row, is_in in zip(ordered, inside, strict=True) if is_in and statement in (None, row.statement)]
    others = [
        row
        for row, is_in in zip(ordered, inside, strict=True)
        if not is_in and (statement is None or row.statement != statement)
    ]
    return hold_out(others, test, protocol, fold)


def split_by_table(ordered: list[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Test the recordings that the table puts into the fold; train on those of the other folds."""
    known = {row.path for row in ordered}
    places = {path_in_corpus(path, known): place for path, place in read_folds_csv(protocol).items()}
    if absent := sorted(places.keys() - known):
        raise UserError(f"{protocol.folds_csv}: the corpus has no {absent[0]}; it has paths such as {ordered[0].path}")
    if unlisted := [row.path for row in ordered if row.path not in places]:
        raise UserError(
            f"{protocol.folds_csv}: {len(unlisted)} recordings of the corpus are not in it, such as {unlisted[0]}; "
            "leave the fold of a recording empty to leave the recording out"
        )
    test = [row for row in ordered if places[row.path] == fold]
    others = [row for row in ordered if places[row.path] not in (None, fold)]
    return hold_out(others, test, protocol, fold)


def hold_out(others: list[Utterance], test: list[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Hold out whole speakers (or sessions, or clips) that are not tested, to select the checkpoint."""
    if protocol.validation_fraction is not None:
        train, validation = draw_clips(
            others, protocol.validation_fraction, replace(protocol, seed=protocol.seed + fold)
        )
        return Splits(train=train, validation=validation, test=test)
    unit, number = (
        ("session", protocol.validation_sessions)
        if protocol.validation_sessions
        else ("speaker", protocol.validation_speakers)
    )
    named = set(protocol.named_validation_speakers.get(fold, ()))
    if number or named:
        check_known(others, unit, protocol)
    kinds = {getattr(row, unit): (row.corpus, row.gender if unit == "speaker" else "") for row in others}
    if unknown := sorted(named - kinds.keys(), key=natural_key):
        raise UserError(
            f"protocol.named_validation_speakers, fold {fold}: {', '.join(unknown)} not among the speakers "
            "left to train on"
        )
    if len(kinds) <= max(number, len(named)):
        raise UserError(f"protocol.validation_{plural(unit)}={number}: only {len(kinds)} {plural(unit)} are not tested")
    drawn = named or draw_groups(kinds, number, seed=f"{protocol.seed}-{fold}")
    return Splits(
        train=[row for row in others if getattr(row, unit) not in drawn],
        validation=[row for row in others if getattr(row, unit) in drawn],
        test=test,
    )


def sort_by_path(rows: list[Utterance]) -> list[Utterance]:
    return sorted(rows, key=lambda row: row.path)


def split_sha256(rows: Sequence[Utterance]) -> str:
    """Compute the sha256 of a split's recordings by speaker, name and emotion, wherever they are stored."""
    lines = sorted(",".join([*row.key, row.emotion]) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def identify_splits(protocol: Protocol, splits: Splits) -> dict[str, Any]:
    """Return the stamp of every metric: the protocol's name, fold and seed, and the sha256 of its splits."""
    return {
        "name": protocol.name,
        "fold": protocol.fold,
        "seed": protocol.seed,
        "train_sha256": split_sha256(splits.train),
        "validation_sha256": split_sha256(splits.validation),
        "test_sha256": split_sha256(splits.test),
    }
