"""Folds of whole groups (speakers, sessions, corpora), computed from the manifest."""

import random
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ser.config import Protocol
from ser.config.protocol import LISTS
from ser.data.manifest import Utterance, names_of, natural_key, rank_speakers
from ser.errors import UserError
from ser.rows import Rows


def resolve_protocol(utterances: Sequence[Utterance], protocol: Protocol) -> Protocol:
    """Return a protocol whose folds are lists: those of `protocol.group` are computed from the manifest.

    Raises:
        UserError: the corpus does not know the groups of all its recordings, or has too few of them.
    """
    if protocol.group is None:
        return protocol
    unit = protocol.group.value
    ordered = sort_by_speaker(choose_corpora(Rows.of(Utterance, utterances), protocol))
    check_known(ordered, unit, protocol)
    groups = sorted(ordered.distinct(unit), key=natural_key)
    number = protocol.folds or len(groups)
    if not 2 <= number <= len(groups):
        raise UserError(
            f"protocol '{protocol.name}': {max(number, 2)} folds need as many {plural(unit)}, and the corpus has "
            f"{len(groups)}"
        )
    tested = (
        [[group] for group in groups]
        if protocol.folds is None
        else stratify_groups(ordered, unit, protocol, protocol.folds)
    )
    lists = dict(enumerate(tested, start=1))
    if protocol.fold is not None and protocol.fold not in lists:
        raise UserError(f"protocol.fold={protocol.fold}: protocol '{protocol.name}' has the folds 1 to {len(lists)}")
    key = next(key for key, field in LISTS.items() if field == unit)
    changes: dict[str, Any] = {"group": None, "folds": None, key: lists}
    return replace(protocol, **changes)


def stratify_groups(ordered: Rows[Utterance], unit: str, protocol: Protocol, number: int) -> list[list[str]]:
    """Return folds of groups whose emotions are as evenly spread as whole groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold  # a third of a second, and few protocols need it

    emotions, (groups, names) = ordered.codes("emotion")[0], ordered.codes(unit)
    folder = StratifiedGroupKFold(n_splits=number, shuffle=True, random_state=protocol.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an emotion with fewer clips than folds: `ser` says so itself
        try:
            folds = list(folder.split(emotions, emotions, groups))
        except ValueError as error:
            raise UserError(f"protocol '{protocol.name}': {error}") from error
    return [sorted((names[group] for group in np.unique(groups[test])), key=natural_key) for _, test in folds]


def check_known(ordered: Rows[Utterance], unit: str, protocol: Protocol) -> None:
    """Raise a UserError where a recording lacks what a protocol divides by."""
    if missing := ordered.counts(unit).get("", 0):
        raise UserError(
            f"protocol '{protocol.name}' divides by {unit}, and {missing} of {len(ordered)} recordings have no known "
            f"{unit}; name it for each (a column '{unit}' of corpus.table, or corpus.speaker), or use protocol=random"
        )


def plural(unit: str) -> str:
    return {"corpus": "corpora"}.get(unit, f"{unit}s")


def draw_groups(kinds: dict[str, tuple[str, str]], count: int, seed: str) -> set[str]:
    """Draw speakers at random, in turn from each corpus and gender, so that the split resembles the others."""
    generator = random.Random(seed)
    pools = [[name for name in kinds if kinds[name] == kind] for kind in sorted(set(kinds.values()))]
    for pool in pools:
        generator.shuffle(pool)
    width = max(map(len, pools))
    in_turn = [pool[place] for place in range(width) for pool in pools if place < len(pool)]
    return set(in_turn[:count])


def choose_corpora(utterances: Rows[Utterance], protocol: Protocol) -> Rows[Utterance]:
    """Return the recordings of the corpora that a protocol uses.

    Raises:
        UserError: one of them is not there.
    """
    if protocol.corpora is None:
        return utterances
    known = utterances.distinct("corpus")
    if unknown := [name for name in protocol.corpora if name not in known]:
        raise UserError(f"protocol.corpora: no recordings of {unknown[0]}; there are {', '.join(known)}")
    return utterances.where(utterances.matches("corpus", protocol.corpora))


def sort_by_speaker(utterances: Rows[Utterance]) -> Rows[Utterance]:
    """Sort recordings by speaker and name, which for RAVDESS as it is published is the order of their paths."""
    return utterances.take(utterances.order(rank_speakers(utterances), names_of(utterances)))
