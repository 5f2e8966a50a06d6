"""Several prepared corpora as one: their manifests joined, their audio where it is."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ser.config import Corpus, SharedLabels
from ser.corpora.facts import Facts
from ser.corpora.labels import LabelMap
from ser.corpora.recordings import Scan
from ser.corpora.scanning import relabel
from ser.data.arrow_cache import Clips, Indices
from ser.data.audio_file import Int16
from ser.data.manifest import Utterance
from ser.errors import UserError
from ser.rows import Rows


class JoinedClips:
    """The recordings of several caches, one after the other; paths begin with the name of the corpus."""

    def __init__(self, parts: Mapping[str, Clips]) -> None:
        """Join caches by the name of their corpus."""
        self._names, self._parts = list(parts), list(parts.values())
        self._starts = [0, *accumulate(len(part) for part in self._parts)]

    def select(self, *names: str) -> pa.Table:
        """Return some facts of each recording; paths are computed anew, so that no second copy of them is kept."""
        tables = []
        for name, part in zip(self._names, self._parts, strict=True):
            facts = part.select(*names)
            if "path" in names:
                facts = facts.set_column(facts.schema.get_field_index("path"), "path", join_texts(name, facts["path"]))
            tables.append(facts)
        return pa.concat_tables(tables)

    def __len__(self) -> int:
        return self._starts[-1]

    def lengths(self) -> Indices:
        """Return the samples of each recording at 16 kHz, `(recordings,)`."""
        return np.concatenate([part.lengths() for part in self._parts])

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


def qualify(name: str, facts: Facts, utterances: Rows[Utterance]) -> Rows[Utterance]:
    """Return the recordings of one corpus as those of several name them: with the corpus before path and speaker."""

    def prefix(value: str) -> str:
        return f"{name}/{value}" if value else ""

    return utterances.replace(
        path=join_texts(name, utterances.texts("path")),
        id=join_texts(name, utterances.texts("id")),
        speaker=utterances.map("speaker", prefix),
        session=utterances.map("session", prefix),
        language=utterances.map("language", lambda language: language or facts.language),
        corpus=utterances.map("corpus", lambda _: name),
    )


def join_texts(name: str, texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return texts behind the name of a corpus; an empty one stays empty."""
    joined = pc.binary_join_element_wise(pa.scalar(name, texts.type), texts, pa.scalar("/", texts.type))
    return pc.if_else(pc.equal(texts, ""), texts, joined)


def join(corpus: Corpus, parts: Mapping[str, Rows[Utterance]]) -> tuple[Rows[Utterance], Scan]:
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
    mapped = {name: relabel(rows, labels) for name, rows in parts.items()}
    emotions = [{*rows.distinct("emotion")} for rows in mapped.values()]
    kept = set.intersection(*emotions) if corpus.labels is not SharedLabels.all else set.union(*emotions)
    if not kept:
        named = "; ".join(f"{name} has {', '.join(sorted(has))}" for name, has in zip(parts, emotions, strict=True))
        raise UserError(f"corpus.labels=shared: no emotion is in all corpora: {named}; see corpus.emotions")
    found.labels = labels.changes()
    lacking = {name: rows.where(~rows.matches("emotion", kept)) for name, rows in mapped.items()}
    for name, rows in lacking.items():
        for row in rows:
            found.leave_out(f"recordings of {name} whose emotion another corpus lacks ({row.emotion})", row.path)
    counts = {f"{label} of {name}": n for name, rows in lacking.items() for label, n in rows.counts("emotion").items()}
    found.labels["left_out"] |= dict(sorted(counts.items()))
    found.warnings = labels.warnings()
    joined = [rows.where(rows.matches("emotion", kept)) for rows in mapped.values()]
    return Rows.join(Utterance, joined), found
