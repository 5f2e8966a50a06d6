"""Protocols: divide a corpus into splits. Pure functions of the manifest and the protocol."""

import hashlib
import random
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sklearn.model_selection import train_test_split

from ser.config import Protocol, Split
from ser.data.manifest import Utterance
from ser.data.user_csv import read_columns
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
    places = read_folds_csv(protocol).values() if protocol.folds_csv else protocol.test_speakers
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

    The lists do not depend on where the files lie: recordings are ordered by speaker and name, which for RAVDESS as it
    is published is the order of their paths.

    Raises:
        UserError: the corpus lacks what the protocol names, or a list would be empty.
    """
    ordered = sorted(utterances, key=lambda row: (natural_key(row.speaker), row.name))
    if protocol.test_fraction is not None:
        return split_by_clips(ordered, protocol)
    fold = list_folds(protocol)[0]
    assert fold is not None  # only drawn clips have no folds
    if protocol.folds_csv is not None:
        return split_by_table(ordered, protocol, fold)
    return split_by_speakers(ordered, protocol, fold)


def split_by_clips(ordered: list[Utterance], protocol: Protocol) -> Splits:
    """Draw the tested clips at random, emotions in proportion; speakers end up on both sides."""
    emotions = [row.emotion for row in ordered]
    try:
        train, test = train_test_split(
            ordered, test_size=protocol.test_fraction, stratify=emotions, random_state=protocol.seed
        )
    except ValueError as error:
        raise UserError(f"protocol '{protocol.name}': {len(ordered)} recordings cannot be divided ({error})") from error
    return Splits(train=sort_by_path(train), validation=[], test=sort_by_path(test))


def split_by_speakers(ordered: list[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Test the speakers of the fold, and of their recordings the fold's sentence where it has one."""
    tested = set(protocol.test_speakers[fold])
    if missing := sorted(tested - {row.speaker for row in ordered}, key=natural_key):
        raise UserError(
            f"protocol '{protocol.name}', fold {fold}: no recordings of the test speakers {', '.join(missing)}"
        )
    statement = protocol.test_statements.get(fold)
    if statement is not None and statement not in {row.statement for row in ordered}:
        raise UserError(f"protocol '{protocol.name}', fold {fold}: no recordings of the statement {statement}")
    test = [row for row in ordered if row.speaker in tested and statement in (None, row.statement)]
    others = [row for row in ordered if row.speaker not in tested and (statement is None or row.statement != statement)]
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


def path_in_corpus(path: str, known: Container[str]) -> str:
    """Return the path of a recording below its corpus, also for an absolute path.

    >>> path_in_corpus("/data/RAVDESS/Actor_01/a.wav", {"Actor_01/a.wav"}), path_in_corpus("b.wav", {})
    ('Actor_01/a.wav', 'b.wav')
    """
    parts = PurePosixPath(path).parts
    ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((end for end in ends if end in known), path) if re.match(r"/|[A-Za-z]:/", path) else path


def read_folds_csv(protocol: Protocol) -> dict[str, int | None]:
    """Return the fold of each path in `protocol.folds_csv`, with `/` between folders.

    Raises:
        UserError: there is no such file, it lacks a column, a fold is no whole number, or a path stands in two folds.
    """
    path = Path(protocol.folds_csv or "").expanduser()
    if not path.is_file():
        raise UserError(f"protocol.folds_csv={protocol.folds_csv}: there is no such file")
    places: dict[str, int | None] = {}
    for line, (name, fold) in read_columns(path, ("path", "fold"), str(path)):
        if not re.fullmatch(r"([0-9]+(\.0*)?)?", fold.strip()):  # 1.0: pandas, where another fold is empty
            raise UserError(f"{path}: line {line}: fold '{fold}' of {name}: it must be a whole number, or empty")
        place = int(fold.strip().partition(".")[0]) if fold.strip() else None
        recording = str(PurePosixPath(name.strip().replace("\\", "/")))
        if places.setdefault(recording, place) != place:
            raise UserError(f"{path}: line {line}: {recording} stands in two folds, {places[recording]} and {place}")
    return places


def hold_out(others: list[Utterance], test: list[Utterance], protocol: Protocol, fold: int) -> Splits:
    """Hold out whole speakers that are not tested, to select the checkpoint."""
    genders = {row.speaker: row.gender for row in others}
    named = set(protocol.named_validation_speakers.get(fold, ()))
    if unknown := sorted(named - genders.keys(), key=natural_key):
        raise UserError(
            f"protocol.named_validation_speakers, fold {fold}: {', '.join(unknown)} not among the speakers "
            "left to train on"
        )
    if len(genders) <= max(protocol.validation_speakers, len(named)):
        raise UserError(
            f"protocol.validation_speakers={protocol.validation_speakers}: only {len(genders)} speakers are not tested"
        )
    drawn = named or draw_speakers(genders, protocol.validation_speakers, seed=f"{protocol.seed}-{fold}")
    return Splits(
        train=[row for row in others if row.speaker not in drawn],
        validation=[row for row in others if row.speaker in drawn],
        test=test,
    )


def draw_speakers(genders: dict[str, str], count: int, seed: str) -> set[str]:
    """Draw speakers at random, in turn from each gender, so that the split resembles the others."""
    generator = random.Random(seed)
    pools = [[s for s in genders if genders[s] == gender] for gender in sorted(set(genders.values()))]
    for pool in pools:
        generator.shuffle(pool)
    width = max(map(len, pools))
    in_turn = [pool[place] for place in range(width) for pool in pools if place < len(pool)]
    return set(in_turn[:count])


def sort_by_path(rows: list[Utterance]) -> list[Utterance]:
    return sorted(rows, key=lambda row: row.path)


def natural_key(speaker: str) -> str:
    """Sort key that puts speaker 2 before speaker 10."""
    return speaker.zfill(8) if speaker.isdigit() else speaker


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
