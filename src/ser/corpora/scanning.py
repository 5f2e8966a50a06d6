"""The scan of a corpus: its recordings with the labels that are used."""

from collections import Counter
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from ser.config.corpus import Corpus
from ser.corpora import CONFIGURED, choose_variant, find_facts, find_module
from ser.corpora.facts import Facts
from ser.corpora.file_names import scan_names
from ser.corpora.labels import LabelMap
from ser.corpora.recordings import Recording, Scan
from ser.errors import UserError
from ser.rows import Rows
from ser.wording import counted

Named = TypeVar("Named", bound=Recording)


def scan(root: Path, corpus: Corpus) -> Scan:
    """List the recordings below a root with the labels that are used.

    Raises:
        UserError: see the corpus; or nothing is left.
    """
    module, labels = find_module(corpus), LabelMap(corpus.emotions, corpus.scheme)
    variant = choose_variant(corpus, module)
    if (corpus.reader or corpus.name) in CONFIGURED:
        found: Scan = module.scan(root, corpus)
    elif hasattr(module, "scan"):
        found = module.scan(root, variant) if variant else module.scan(root)
    else:
        found = scan_names(root, module.NAMES)
    facts, recordings = find_facts(corpus), Rows.of(Recording, found.recordings)
    if not recordings:
        raise UserError(f"root={root}: no recording of {facts.description} ({found.summary() or 'no files'})")
    warnings = [*found.warnings, *describe_counts(recordings, facts)]
    kept = relabel(recordings, labels)
    if not kept:
        raise UserError(f"root={root}: the labels leave out all {len(recordings)} recordings; see corpus.emotions")
    return Scan(kept, found.left_out, [*warnings, *labels.warnings()], labels.changes())


def relabel(recordings: Rows[Named], labels: LabelMap) -> Rows[Named]:
    """Return recordings with the labels that are used, without those of the others."""
    codes, texts = recordings.codes("emotion")
    used = [labels.map(text, number) for text, number in recordings.counts("emotion").items()]
    if used == texts:
        return recordings
    kept = np.array([label is not None for label in used])[codes]
    words = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array([label or "" for label in used]))
    return recordings.replace(emotion=words).where(kept)


def describe_counts(recordings: Rows[Recording], facts: Facts) -> list[str]:
    """Return a warning for each published number of recordings or speakers that differs from what was found."""
    counts, lines = Counter(recordings.counts("emotion")), list[str]()
    differing = [
        f"{emotion} {counts[emotion]} of {published}"
        for emotion, published in facts.clips.items()
        if counts[emotion] != published
    ]
    if differing:
        present, total = sum(counts[emotion] for emotion in facts.clips), sum(facts.clips.values())
        lines.append(f"{counted(present, 'recordings')}, where {total} were published: {', '.join(differing)}")
    speakers = len({*recordings.distinct("speaker")} - {""})
    if facts.speakers and speakers != facts.speakers:
        lines.append(f"{counted(speakers, 'speakers')}, where {facts.speakers} were published")
    return lines
