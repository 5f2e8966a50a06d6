"""Protocols: divide a corpus into splits. Pure functions of the manifest and the protocol."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ser.config import Choose, Protocol, Split
from ser.data.folds_csv import path_in_corpus, read_folds_csv
from ser.data.groups import check_known, choose_corpora, draw_groups, plural, resolve_protocol, sort_by_speaker
from ser.data.manifest import Utterance, names_of, natural_key
from ser.errors import UserError
from ser.rows import AT_ONCE, Rows
from ser.tables import shorten
from ser.wording import counted


@dataclass(frozen=True)
class Splits:
    """The three splits of a corpus by one fold of a protocol, and what selects the checkpoint of a run on them."""

    train: Rows[Utterance]
    validation: Rows[Utterance]
    test: Rows[Utterance]
    choose: Choose = Choose.best

    def get(self, split: Split) -> Rows[Utterance]:
        return {Split.train: self.train, Split.validation: self.validation, Split.test: self.test}[split]

    @property
    def selection_split(self) -> Split | None:
        """The split that selects the checkpoint; None where no split does."""
        return self.evaluated_split if self.choose is Choose.best else None

    @property
    def evaluated_split(self) -> Split | None:
        """The split that training evaluates; None where only the test split is there and must not select."""
        if self.validation:
            return Split.validation
        return Split.test if self.choose is Choose.best else None


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


def split_corpus(utterances: Sequence[Utterance], protocol: Protocol, choose: Choose = Choose.best) -> Splits:
    """Divide a corpus by one fold of a protocol, the first where it names none.

    The lists do not depend on where the files lie: recordings are ordered by speaker and name.

    Args:
        utterances: the recordings of the corpus.
        protocol: what divides it.
        choose: what selects the checkpoint of a run on these splits.

    Raises:
        UserError: the corpus lacks what the protocol names, or a list would be empty.
    """
    return replace(divide(utterances, protocol), choose=choose)


def divide(utterances: Sequence[Utterance], protocol: Protocol) -> Splits:
    """Divide a corpus by one fold of a protocol, whatever selects the checkpoint."""
    ordered = sort_by_speaker(choose_corpora(Rows.of(Utterance, utterances), protocol))
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


def split_by_clips(ordered: Rows[Utterance], protocol: Protocol) -> Splits:
    """Draw the tested clips at random, emotions in proportion; speakers end up on both sides."""
    assert protocol.test_fraction is not None
    others, test = draw_clips(ordered, protocol.test_fraction, protocol)
    train, validation = others, ordered[:0]
    if protocol.validation_fraction is not None:
        train, validation = draw_clips(others, protocol.validation_fraction, protocol)
    return Splits(train=sort_by_path(train), validation=sort_by_path(validation), test=sort_by_path(test))


def draw_clips(
    ordered: Rows[Utterance], fraction: float, protocol: Protocol
) -> tuple[Rows[Utterance], Rows[Utterance]]:
    """Divide clips at random into the rest and a fraction of them, emotions in proportion."""
    from sklearn.model_selection import train_test_split  # a third of a second, and few protocols need it

    check_each_emotion_twice(ordered, protocol)
    emotions, places = ordered.codes("emotion")[0], np.arange(len(ordered))
    try:
        rest, drawn = train_test_split(places, test_size=fraction, stratify=emotions, random_state=protocol.seed)
    except ValueError as error:
        raise UserError(
            f"protocol '{protocol.name}': {len(ordered)} recordings cannot be divided by {fraction:g}, since each side "
            f"needs one of each of the {len(ordered.distinct('emotion'))} emotions; take a larger share "
            "(protocol.test_fraction, protocol.validation_fraction), or leave rare emotions out (corpus.emotions)"
        ) from error
    return ordered.take(rest), ordered.take(drawn)


def check_each_emotion_twice(ordered: Rows[Utterance], protocol: Protocol) -> None:
    """Raise a UserError that names the emotions with a single recording, which cannot be on both sides."""
    single = sorted(emotion for emotion, number in ordered.counts("emotion").items() if number == 1)
    if single:
        named = ", ".join(shorten([f"'{emotion}'" for emotion in single], 10))
        raise UserError(
            f"protocol '{protocol.name}': {'emotion' if len(single) == 1 else 'each of the emotions'} {named} has 1 "
            f"recording, and a split needs at least 2 of each; 'corpus.emotions={{{single[0]}: OTHER}}' maps it (null "
            "leaves it out), or give another protocol=..."
        )


def split_officially(ordered: Rows[Utterance], protocol: Protocol) -> Splits:
    """Take the splits that the corpus itself gives; recordings of other splits are not used."""
    known = ordered.distinct("split")
    if known == [""]:
        raise UserError(
            f"protocol '{protocol.name}': the corpus has no split of its own (no column 'split' in its manifest)"
        )
    by_split = {name: ordered.where(ordered.matches("split", [name])) for name in known}
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


def split_by_groups(ordered: Rows[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Test the speakers (sessions, corpora) of the fold, and of their recordings its sentence where it has one."""
    unit, tested = protocol.unit, set(protocol.listed[fold])
    if missing := sorted(tested - set(ordered.distinct(unit)), key=natural_key):
        raise UserError(
            f"protocol '{protocol.name}', fold {fold}: no recordings of the test {plural(unit)} {', '.join(missing)}"
        )
    check_known(ordered, unit, protocol)
    statement = protocol.test_statements.get(fold)
    if statement is not None and statement not in ordered.distinct("statement"):
        raise UserError(f"protocol '{protocol.name}', fold {fold}: no recordings of the statement {statement}")
    of_groups = ordered.matches(unit, tested)
    if statement is None:
        return hold_out(ordered.where(~of_groups), ordered.where(of_groups), protocol, fold)
    spoken = ordered.matches("statement", [statement])
    return hold_out(ordered.where(~of_groups & ~spoken), ordered.where(of_groups & spoken), protocol, fold)


def split_by_table(ordered: Rows[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Test the recordings that the table puts into the fold; train on those of the other folds."""
    paths: list[str] = ordered.texts("path").to_pylist()
    known = set(paths)
    places = {path_in_corpus(path, known): place for path, place in read_folds_csv(protocol).items()}
    if absent := sorted(places.keys() - known):
        raise UserError(f"{protocol.folds_csv}: the corpus has no {absent[0]}; it has paths such as {paths[0]}")
    if unlisted := [path for path in paths if path not in places]:
        raise UserError(
            f"{protocol.folds_csv}: it lacks {counted(len(unlisted), 'recordings of the corpus')}, such as "
            f"{unlisted[0]}; leave the fold of a recording empty to leave the recording out"
        )
    test = np.array([places[path] == fold for path in paths])
    others = np.array([places[path] not in (None, fold) for path in paths])
    return hold_out(ordered.where(others), ordered.where(test), protocol, fold)


def hold_out(others: Rows[Utterance], test: Rows[Utterance], protocol: Protocol, fold: int) -> Splits:
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
    kinds = find_kinds(others, unit)
    if unknown := sorted(named - kinds.keys(), key=natural_key):
        raise UserError(
            f"protocol.named_validation_speakers, fold {fold}: {', '.join(unknown)} not among the speakers "
            "left to train on"
        )
    if len(kinds) <= max(number, len(named)):
        raise UserError(
            f"protocol.validation_{plural(unit)}={number}: only {counted(len(kinds), plural(unit))} not tested"
        )
    drawn = named or draw_groups(kinds, number, seed=f"{protocol.seed}-{fold}")
    held_out = others.matches(unit, drawn)
    return Splits(train=others.where(~held_out), validation=others.where(held_out), test=test)


def find_kinds(rows: Rows[Utterance], unit: str) -> dict[str, tuple[str, str]]:
    """Return the corpus and the gender of each speaker (or the corpus of each session), in the order of the rows."""
    of, names = rows.codes(unit)
    _, first = np.unique(of, return_index=True)
    last = len(of) - 1 - np.unique(of[::-1], return_index=True)[1]
    units = rows.take(last)
    genders = units.texts("gender").to_pylist() if unit == "speaker" else [""] * len(units)
    kinds = list(zip(units.texts("corpus").to_pylist(), genders, strict=True))
    return {names[at]: kinds[at] for at in np.argsort(first, kind="stable")}


def sort_by_path(rows: Rows[Utterance]) -> Rows[Utterance]:
    return rows.take(rows.order("path"))


def split_sha256(rows: Sequence[Utterance]) -> str:
    """Compute the sha256 of a split's recordings by speaker, name and emotion, wherever they are stored."""
    stored = Rows.of(Utterance, rows)
    parts = [join_identity(stored[start : start + AT_ONCE]) for start in range(0, len(stored), AT_ONCE)]
    lines = pa.chunked_array(parts, pa.large_string())
    digest, separator, order = hashlib.sha256(), "", pc.sort_indices(lines)
    for start in range(0, len(lines), AT_ONCE):
        some = "\n".join(lines.take(order.slice(start, AT_ONCE)).to_pylist())
        digest.update((separator + some).encode())
        separator = "\n"
    return digest.hexdigest()


def join_identity(rows: Rows[Utterance]) -> pa.Array:
    """Return speaker, name and emotion of each recording in a text, `(recordings,)`."""
    columns = [rows.texts("speaker"), names_of(rows), rows.texts("emotion")]
    return pc.binary_join_element_wise(*columns, pa.scalar(",", pa.large_string()))


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
