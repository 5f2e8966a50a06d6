"""Several prepared corpora as one: their manifests joined, their audio where it is."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ser.config import Corpus, SharedLabels
from ser.corpora.facts import Facts
from ser.corpora.labels import LabelMap
from ser.corpora.recordings import Scan
from ser.data.arrow_cache import Clips
from ser.data.audio import Int16
from ser.data.manifest import Utterance
from ser.errors import UserError


class JoinedClips:
    """The recordings of several caches, one after the other; paths begin with the name of the corpus."""

    def __init__(self, parts: Mapping[str, Clips]) -> None:
        """Join caches by the name of their corpus."""
        self._names, self._parts = list(parts), list(parts.values())
        self._starts = [0, *accumulate(len(part) for part in self._parts)]

    @property
    def facts(self) -> pa.Table:
        """The facts of all; the paths are computed at each call, so that no second copy of them stays in memory."""
        tables = []
        for name, part in zip(self._names, self._parts, strict=True):
            facts = part.facts
            paths = pc.binary_join_element_wise(f"{name}/", facts["path"], "")
            tables.append(facts.set_column(facts.schema.get_field_index("path"), "path", paths))
        return pa.concat_tables(tables)

    def __len__(self) -> int:
        return self._starts[-1]

    def samples(self, index: int) -> Int16:
        """Return a read-only view, `(samples,)`, of a mapped file."""
        part = bisect_right(self._starts, index) - 1
        return self._parts[part].samples(index - self._starts[part])


def part_folders(corpus: Corpus, data_dir: Path) -> list[Path]:
    """Return the prepared folders of the parts: a name lies beside `data_dir`, anything else is a path.

    Raises:
        UserError: fewer than two parts, or one of them twice.
    """
    parts = [str(part) for part in corpus.parts or []]
    folders = [Path(part) if "/" in part else data_dir.parent / part for part in parts]
    if len({folder.resolve() for folder in folders}) < max(1, len(folders)) or not folders:
        raise UserError(f"corpus.parts={parts}: name prepared corpora, each once, as in corpus.parts=[ravdess,emodb]")
    return folders


def qualify(name: str, facts: Facts, utterances: Sequence[Utterance]) -> list[Utterance]:
    """Return the recordings of one corpus as those of several name them: with the corpus before path and speaker."""
    return [
        replace(
            row,
            path=f"{name}/{row.path}",
            speaker=f"{name}/{row.speaker}" if row.speaker else "",
            session=f"{name}/{row.session}" if row.session else "",
            id=f"{name}/{row.id}" if row.id else "",
            language=row.language or facts.language,
            corpus=name,
        )
        for row in utterances
    ]


def join(corpus: Corpus, parts: Mapping[str, Sequence[Utterance]]) -> tuple[list[Utterance], Scan]:
    """Join the recordings of several corpora, with the labels that are used.

    Args:
        corpus: its `emotions` and `scheme` are applied first, then `labels`.
        parts: the qualified recordings of each corpus.

    Returns:
        The recordings that are used, and a scan with the recordings that were left out, by reason.

    Raises:
        UserError: no emotion is left.
    """
    labels, found = LabelMap(corpus.emotions, corpus.scheme), Scan()
    mapped = {name: [(row, labels.map(row.emotion)) for row in rows] for name, rows in parts.items()}
    emotions = [{label for _, label in rows if label is not None} for rows in mapped.values()]
    kept = set.intersection(*emotions) if corpus.labels is not SharedLabels.all else set.union(*emotions)
    if not kept:
        named = "; ".join(f"{name} has {', '.join(sorted(has))}" for name, has in zip(parts, emotions, strict=True))
        raise UserError(f"corpus.labels=shared: no emotion is in all corpora: {named}; see corpus.emotions")
    joined = list[Utterance]()
    for name, rows in mapped.items():
        for row, label in rows:
            if label is None:
                continue
            if label in kept:
                joined.append(row if label == row.emotion else replace(row, emotion=label))
            else:
                found.leave_out(f"recordings of {name} whose emotion another corpus lacks ({label})", row.path)
    found.labels = labels.changes()
    lacking = Counter(
        f"{label} of {name}" for name, rows in mapped.items() for _, label in rows if label and label not in kept
    )
    found.labels["left_out"] |= dict(sorted(lacking.items()))
    found.warnings = labels.warnings()
    return joined, found
