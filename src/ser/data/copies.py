"""Recordings that are in a corpus more than once, and those that stand in several of its splits.

Equal samples are known by their hash, so that recordings are compared by the first 64 bits of it (`Keys`); of those
that are equal, one alone is compared with other recordings. Everything here takes a time linear in rows and copies,
however often a recording is there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ser.config import Split
from ser.data.arrow_cache import Clips
from ser.data.audio_file import Int16
from ser.data.duplicates import MOST_COPIES, find_duplicates
from ser.data.manifest import Utterance
from ser.data.protocols import Splits
from ser.rows import Rows, iterate_texts

Pair = tuple[str, str]
"""The sha256 of the samples of two recordings that are copies of one another."""

LISTED = 10_000
"""Most recordings with equal samples that are listed; their number is that of all."""
LISTED_LEAKS = 1000
"""Most pairs of recordings in different splits that are listed; their number is that of all."""

Indices = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
"""Of recordings, `(recordings,)`: equal where their samples are; 0 where that is not known. Two of a million different
recordings have equal ones with a probability of 3e-8."""


def make_keys(checksums: Iterable[str], number: int) -> Keys:
    """Return the first 64 bits of sha256 checksums."""
    return np.fromiter((int(checksum[:16] or "0", 16) for checksum in checksums), np.uint64, number)


def sample_keys(utterances: Rows[Utterance]) -> Keys:
    """Return the keys of the rows of a manifest."""
    return make_keys(iterate_texts(utterances.texts("sha256")), len(utterances))


def find_identical(utterances: Rows[Utterance]) -> dict[str, Any]:
    """Return recordings with the same samples, as the audit lists them.

    Returns:
        `identical`: groups of paths, of `LISTED` recordings at the most. `identical_in_all`: the numbers of groups and
        of recordings in them.
    """
    keys = sample_keys(utterances)
    known, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    counts[known == 0] = 0
    repeated = np.flatnonzero(counts[inverse] > 1)
    listed = repeated[np.lexsort((repeated, first[inverse[repeated]]))][:LISTED]  # group by group
    groups = defaultdict[int, list[str]](list)
    for index, path in zip(listed.tolist(), utterances.take(listed).texts("path").to_pylist(), strict=True):
        groups[int(inverse[index])].append(path)
    return {
        "identical": [group for group in groups.values() if len(group) > 1],
        "identical_in_all": {"groups": int((counts > 1).sum()), "recordings": len(repeated)},
    }


class ChosenClips(Sequence[Int16]):
    """The samples of some recordings, opened where they are asked for."""

    def __init__(self, clips: Clips, indices: Indices) -> None:
        """Take the recordings at some indices."""
        self._clips, self._indices = clips, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        return self._clips.samples(int(self._indices[index]))


def find_near_identical(clips: Clips, utterances: Rows[Utterance]) -> dict[str, Any]:
    """Return the duplicates whose samples differ, as the audit lists them; one of equal recordings stands for all.

    Returns:
        `copies`: pairs of paths with the correlation of their waveforms. `copies_in_part`: paths of recordings with so
        many copies that no more were looked for.
    """
    chosen = choose_clips(clips, utterances)
    found = find_duplicates(ChosenClips(clips, chosen))
    rows = chosen[np.array([(copy.first, copy.second) for copy in found], np.int64).ravel()]
    facts = clips.select("path", "sha256").take(rows).to_pylist()
    copies, numbers = list[dict[str, Any]](), Counter[str]()
    for copy, first, second in zip(found, facts[::2], facts[1::2], strict=True):
        if first["sha256"] != second["sha256"]:
            copies.append({"files": [first["path"], second["path"]], "correlation": round(copy.correlation, 4)})
            numbers[second["path"]] += 1
    return {
        "copies": copies,
        "copies_in_part": [path for path, number in numbers.items() if number >= MOST_COPIES],
    }


def choose_clips(clips: Clips, utterances: Rows[Utterance]) -> Indices:
    """Return the indices of one of all recordings with equal samples and rate; one of the manifest where there is."""
    facts = clips.select("path", "sha256", "sample_rate")
    keys = make_keys(iterate_texts(facts["sha256"]), len(clips)) ^ facts["sample_rate"].to_numpy().astype(np.uint64)
    order = np.arange(len(clips))
    if len(utterances) < len(clips):
        used = pc.is_in(facts["path"].cast(pa.large_string()), value_set=utterances.texts("path")).to_numpy()
        order = np.argsort(~used, kind="stable")
    return np.sort(order[np.unique(keys[order], return_index=True)[1]])


def near_pairs(report: dict[str, Any], utterances: Rows[Utterance]) -> list[Pair]:
    """Return the duplicates that an audit found and that are not equal, by the sha256 of their samples.

    Args:
        report: the content of audit.json.
        utterances: the manifest beside it.
    """
    paths = pa.array(sorted({path for copy in report["copies"] for path in copy["files"]}), pa.large_string())
    rows = utterances.where(pc.is_in(utterances.texts("path"), value_set=paths).to_numpy(zero_copy_only=False))
    checksums = dict(zip(rows.texts("path").to_pylist(), rows.texts("sha256").to_pylist(), strict=True))
    pairs = [(checksums.get(first), checksums.get(second)) for first, second in (c["files"] for c in report["copies"])]
    return [(first, second) for first, second in pairs if first and second]


@dataclass(frozen=True)
class Leak:
    """Two recordings that are one, in different splits."""

    paths: tuple[str, str]
    splits: tuple[Split, Split]


def find_leaks(splits: Splits, duplicates: Sequence[Pair], scored: Split | None = None) -> tuple[list[Leak], int]:
    """Find the recordings that have a copy in another split.

    Args:
        splits: the rows of each split.
        duplicates: copies whose samples differ, see `near_pairs`; copies of copies are copies.
        scored: leaks out of and into this split alone.

    Returns:
        The first `LISTED_LEAKS` pairs, and the number of all: each recording with its first copy in each other split.
    """
    keys = {split: merge_copies(sample_keys(splits.get(split)), duplicates) for split in Split}
    listed, number = list[Leak](), 0
    for sides in combinations(Split, 2):
        if scored is None or scored in sides:
            pairs = pair_rows(keys[sides[0]], keys[sides[1]])
            number += len(pairs)
            listed += [make_leak(splits, sides, pair) for pair in pairs[: LISTED_LEAKS - len(listed)].tolist()]
    return sorted(listed, key=lambda leak: leak.paths), number


def make_leak(splits: Splits, sides: tuple[Split, Split], indices: tuple[int, int]) -> Leak:
    """Name the rows of two splits, in the order of their paths."""
    rows = [(splits.get(split)[index].path, split) for split, index in zip(sides, indices, strict=True)]
    (first, split), (second, other) = sorted(rows, key=lambda row: row[0])
    return Leak((first, second), (split, other))


def merge_copies(keys: Keys, duplicates: Sequence[Pair]) -> Keys:
    """Return keys that are equal for copies, too."""
    if not duplicates:
        return keys
    known, places = np.unique([list(make_keys(pair, 2)) for pair in duplicates], return_inverse=True)
    first, second = places.reshape(-1, 2).T
    edges = coo_matrix((np.ones(len(first)), (first, second)), (len(known), len(known)))
    _, groups = connected_components(edges, directed=False)
    roots = known[np.unique(groups, return_index=True)[1]][groups]
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[at] == keys, roots[at], keys)


def pair_rows(one: Keys, other: Keys) -> Indices:
    """Return the rows of two splits that have a key in common, `(pairs, 2)`: each with the first such of the other."""
    shared = np.intersect1d(one, other)
    shared = shared[shared != 0]
    if not len(shared):
        return np.zeros((0, 2), np.int64)
    sides = []
    for keys in (one, other):
        rows = np.flatnonzero(np.isin(keys, shared))
        at = np.searchsorted(shared, keys[rows])
        sides.append((rows, at, rows[np.unique(at, return_index=True)[1]]))
    (rows, at, first), (other_rows, other_at, other_first) = sides
    repeated = other_rows != other_first[other_at]
    pairs = np.stack([rows, other_first[at]], axis=1)
    return np.concatenate([pairs, np.stack([first[other_at], other_rows], axis=1)[repeated]])
