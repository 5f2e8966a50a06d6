"""Protocols: who and what is trained on, chosen on and tested. Pure functions of the manifest and the protocol."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.model_selection import train_test_split

from ser.config import Protocol, Side
from ser.data.manifest import Utterance
from ser.errors import UserError


@dataclass(frozen=True)
class Split:
    """The lists of a protocol; `validation` is empty where the checkpoint is chosen on the test list."""

    train: list[Utterance]
    validation: list[Utterance]
    test: list[Utterance]

    def side(self, side: Side) -> list[Utterance]:
        return {Side.train: self.train, Side.validation: self.validation, Side.test: self.test}[side]

    @property
    def chosen_on(self) -> Side:
        """The list that chooses the checkpoint."""
        return Side.validation if self.validation else Side.test


def split(utterances: Sequence[Utterance], protocol: Protocol) -> Split:
    """Divide a corpus by a protocol.

    The lists do not depend on where the files lie: recordings are ordered by speaker and name, which for RAVDESS as it
    is published is the order of their paths.

    Raises:
        UserError: the corpus lacks what the protocol names, or a list would be empty.
    """
    ordered = sorted(utterances, key=lambda row: (row.speaker.zfill(8), row.name))
    if protocol.test_fraction is not None:
        return by_clips(ordered, protocol)
    return by_speakers(ordered, protocol)


def by_clips(ordered: list[Utterance], protocol: Protocol) -> Split:
    """Draw the tested clips at random, emotions in proportion; speakers end up on both sides."""
    emotions = [row.emotion for row in ordered]
    try:
        train, test = train_test_split(
            ordered, test_size=protocol.test_fraction, stratify=emotions, random_state=protocol.seed
        )
    except ValueError as error:
        raise UserError(f"protocol '{protocol.name}': {len(ordered)} recordings cannot be divided ({error})") from error
    return Split(train=in_order(train), validation=[], test=in_order(test))


def by_speakers(ordered: list[Utterance], protocol: Protocol) -> Split:
    """Test the speakers of the fold; hold out whole training speakers for choosing the checkpoint."""
    assert protocol.fold is not None  # Protocol.__post_init__
    tested = {str(speaker) for speaker in protocol.test_speakers[protocol.fold]}
    genders = {row.speaker: row.gender for row in ordered}
    if missing := sorted(tested - genders.keys(), key=int):
        raise UserError(
            f"protocol '{protocol.name}', fold {protocol.fold}: no recordings of the test speakers {', '.join(missing)}"
        )
    others = {speaker: gender for speaker, gender in genders.items() if speaker not in tested}
    if len(others) <= protocol.validation_speakers:
        raise UserError(
            f"protocol.validation_speakers={protocol.validation_speakers}: only {len(others)} speakers are not tested"
        )
    validating = draw_speakers(others, protocol.validation_speakers, seed=f"{protocol.seed}-{protocol.fold}")
    return Split(
        train=[row for row in ordered if row.speaker not in tested | validating],
        validation=[row for row in ordered if row.speaker in validating],
        test=[row for row in ordered if row.speaker in tested],
    )


def draw_speakers(genders: dict[str, str], count: int, seed: str) -> set[str]:
    """Draw speakers at random, in turn from each gender, so that the list resembles what it stands for."""
    generator = random.Random(seed)
    pools = [[s for s in genders if genders[s] == gender] for gender in sorted(set(genders.values()))]
    for pool in pools:
        generator.shuffle(pool)
    width = max(map(len, pools))
    in_turn = [pool[place] for place in range(width) for pool in pools if place < len(pool)]
    return set(in_turn[:count])


def in_order(rows: list[Utterance]) -> list[Utterance]:
    return sorted(rows, key=lambda row: row.path)


def list_sha256(rows: Sequence[Utterance]) -> str:
    """Identity of a list: its recordings by name and emotion, wherever and in whatever container they are stored."""
    lines = sorted(f"{row.speaker},{row.name},{row.emotion}" for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def identity(protocol: Protocol, lists: Split) -> dict[str, Any]:
    """What is stamped on every metric: the protocol's name, fold and seed, and the sha256 of its three lists."""
    return {
        "name": protocol.name,
        "fold": protocol.fold,
        "seed": protocol.seed,
        "train_sha256": list_sha256(lists.train),
        "validation_sha256": list_sha256(lists.validation),
        "test_sha256": list_sha256(lists.test),
    }


def in_words(protocol: Protocol, lists: Split, scored: Side) -> str:
    """What a reader must know to judge a number of this protocol: sentences computed from the lists themselves."""
    rows = lists.side(scored)
    trained_speakers = {row.speaker for row in lists.train}
    speakers = {row.speaker for row in rows}
    heard = len(speakers & trained_speakers)
    fold = f", fold {protocol.fold}" if protocol.fold is not None else ""
    sentences = [
        f"Protocol {protocol.name}{fold}: {len(lists.train)} training clips, "
        f"{len(lists.validation)} validation clips, {len(lists.test)} test clips; "
        f"scored on the {scored.value} list ({len(rows)} clips, {len(speakers)} speakers)."
    ]
    if scored is Side.train:
        sentences.append("These clips were trained on: the number says how well they were learned, nothing else.")
    elif heard:
        sentences.append(
            f"{heard} of these {len(speakers)} speakers also speak in the training list: "
            "the number says little about speakers the model has not heard."
        )
    else:
        sentences.append("None of these speakers is heard in training.")
    if scored is lists.chosen_on:
        sentences.append("The checkpoint was chosen on this very list, which makes the number optimistic.")
    elif scored is Side.test:
        chosen = len({row.speaker for row in lists.validation})
        sentences.append(f"The checkpoint was chosen on {chosen} other held-out speakers.")
    return " ".join(sentences)
