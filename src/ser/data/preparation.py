"""Prepare a corpus: list, check, divide and decode its recordings into a folder."""

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ser import corpora
from ser.checksums import checksum
from ser.config import Audit, Corpus, Engine, Protocol, Split
from ser.corpora.facts import Facts, join_facts
from ser.corpora.recordings import Recording, Scan
from ser.corpora.scanning import scan
from ser.data import audit, decoding, manifest
from ser.data.arrow_cache import AudioCache, Clips, UnusableCacheError, put_in_order
from ser.data.audio import DECODED_BY
from ser.data.combined import JoinedClips, join, part_folders, qualify
from ser.data.copies import near_pairs
from ser.data.groups import resolve_protocol
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import PreparedCorpus, is_combined, label_settings, open_parts, open_prepared
from ser.data.protocols import identify_splits, list_folds, split_corpus
from ser.files import printable, remove, remove_temporary, replacing, write_json
from ser.locks import locked
from ser.rows import Rows

log = logging.getLogger("ser")


def prepare(
    corpus: Corpus,
    protocol: Protocol,
    root: str | None,
    data_dir: str,
    strictness: Audit,
    engine: Engine = Engine.local,
) -> dict[str, Any]:
    """Read a corpus into `data_dir`: manifest, split lists (of the first fold), audit and the 16 kHz cache.

    Returns:
        What audit.json holds, with the number of recordings that had to be `decoded`.

    Raises:
        UserError: the root or recordings below it cannot be used, or a strict audit finds something on both sides of a
            fold; the lists and the manifest in `data_dir` are left as they were.
    """
    with locked(Path(data_dir), wait=True):
        return prepare_unlocked(corpus, protocol, root, Path(data_dir), strictness, engine)


def prepare_unlocked(
    corpus: Corpus,
    protocol: Protocol,
    root: str | None,
    target: Path,
    strictness: Audit,
    engine: Engine = Engine.local,
) -> dict[str, Any]:
    """Run `prepare` while holding the lock of the folder."""
    remove_temporary(target)
    if is_combined(corpus):
        return combine(corpus, protocol, target, strictness)
    source, facts = corpora.find_root(corpus, root, target), corpora.find_facts(corpus)
    found = scan(source, corpus)
    recordings = Rows.of(Recording, found.recordings)
    # Everything that can be refused without decoding is refused before anything is written.
    split_corpus(recordings.cast(Utterance), protocol)
    clips, decoded = decoding.build(source, recordings, target, engine)
    made_of = {"root": printable(str(source.resolve()))}
    with replacing(target / manifest.COLUMNS_FILE) as columns:
        manifest.write_columns(columns, manifest.make_utterances(recordings, clips))
        found.recordings = recordings = Rows(Recording, {})  # from here on they are mapped
        report = write(corpus, protocol, target, strictness, found, facts, columns, clips, made_of)
    return report | {"decoded": decoded}


def combine(corpus: Corpus, protocol: Protocol, target: Path, strictness: Audit) -> dict[str, Any]:
    """Join prepared corpora: their manifests are copied into `target`, their audio is not."""
    parts = open_parts(part_folders(corpus, target))
    qualified = {name: qualify(name, part.facts, part.utterances) for name, part in parts.items()}
    utterances, found = join(corpus, qualified)
    facts = join_facts({name: part.facts for name, part in parts.items()})
    made_of = {
        "root": "",
        "parts": {name: {"folder": part.folder, "manifest_sha256": part.sha256} for name, part in parts.items()},
    }
    clips = JoinedClips({name: put_in_order(part.audio, part.indices(part.utterances)) for name, part in parts.items()})
    with replacing(target / manifest.COLUMNS_FILE) as columns:
        manifest.write_columns(columns, utterances)
        report = write(corpus, protocol, target, strictness, found, facts, columns, clips, made_of)
    return report | {"decoded": 0}


def write(
    corpus: Corpus,
    protocol: Protocol,
    target: Path,
    strictness: Audit,
    found: Scan,
    facts: Facts,
    columns: Path,
    clips: Clips,
    made_of: dict[str, Any],
) -> dict[str, Any]:
    """Write what is known of the recordings whose columns are written; return the content of audit.json."""
    utterances = manifest.map_columns(columns)
    protocol = resolve_protocol(utterances, protocol)
    folds = list_folds(protocol)
    splits_of_folds = [split_corpus(utterances, replace(protocol, fold=fold)) for fold in folds]
    splits = splits_of_folds[0]
    emotions = facts.emotions if label_settings(corpus) == label_settings(Corpus(corpus.name)) else ()
    report = {
        "corpus": corpus.name,
        "settings": label_settings(corpus),
        "facts": facts.to_json(),
        "emotions": list(emotions) or utterances.distinct("emotion"),
        **made_of,
        "decoder": DECODED_BY,
        "manifest_sha256": manifest.checksum(utterances),
        "description": facts.description,
        "synthetic": facts.synthetic,
        "protocol": identify_splits(replace(protocol, fold=folds[0]), splits),
        **audit.audit(found, utterances, clips, splits, facts.format),
    }
    duplicates = near_pairs(report, utterances)
    audit.check_leaks(splits_of_folds, duplicates, strictness)
    for split in Split:
        path = target / f"{split.value}.csv"
        manifest.write(path, splits.get(split)) if splits.get(split) else remove(path)
    with replacing(target / manifest.FILE) as temporary:  # last: a folder with a manifest is complete
        manifest.write(temporary, utterances)
        written = {manifest.FILE: temporary, manifest.COLUMNS_FILE: columns}
        report["files"] = {name: checksum(path) for name, path in written.items()}
        write_json(target / audit.FILE, report)
    return report


def open_or_prepare(corpus: Corpus, protocol: Protocol, root: str | None, data_dir: str) -> PreparedCorpus:
    """Open the prepared corpus; prepare it first where a root is given that is not the one in `data_dir` as it is now.

    Several corpora are joined anew where one of them changed.

    Raises:
        UserError: see `prepare` and `open_prepared`.
    """
    folder = Path(data_dir)
    if root is not None or is_combined(corpus):
        with locked(folder, wait=True):
            if outdated := reason_outdated(corpus, Path(root).expanduser() if root is not None else None, folder):
                log.info("%s: %s; preparing %s", data_dir, outdated, f"root={root}" if root else corpus.name)
                audit.log_warnings(prepare_unlocked(corpus, protocol, root, folder, Audit.warn))
    return open_prepared(data_dir, corpus)


def resolve(corpus: Corpus, protocol: Protocol, root: str | None, data_dir: str) -> Protocol:
    """Return a protocol whose folds are lists; the corpus is opened or prepared only where they are computed from it.

    Raises:
        UserError: see `open_or_prepare` and `resolve_protocol`.
    """
    if protocol.group is None:
        return protocol
    return resolve_protocol(open_or_prepare(corpus, protocol, root, data_dir).utterances, protocol)


def reason_outdated(corpus: Corpus, root: Path | None, folder: Path) -> str:
    """Return why a prepared folder is not the corpus below a root, or its parts; empty if it is.

    Args:
        corpus: the corpus.
        root: its folder; None for joined corpora, which have parts.
        folder: the prepared folder.

    Raises:
        UserError: the folder holds another corpus, which is not thrown away for a root; or the root cannot be used.
    """
    if not (folder / manifest.FILE).is_file():
        return "nothing is prepared there yet"
    try:
        prepared = open_prepared(str(folder), corpus)
    except UnusableCacheError as error:
        return str(error).removeprefix(f"{folder}: ")
    if root is None:
        now = {name: part.sha256 for name, part in open_parts(part_folders(corpus, folder)).items()}
        return "" if prepared.parts == now else "its parts are others now"
    found = Rows.of(Recording, scan(corpora.find_root(corpus, str(root), folder), corpus).recordings)
    assert isinstance(prepared.audio, AudioCache)  # only joined corpora have another
    if prepared.audio.holds(decoding.file_identities(root, found)) and same_recordings(prepared.utterances, found):
        return ""
    return f"it was made from other files or by another decoder ({prepared.root})"


def same_recordings(utterances: Rows[Utterance], found: Rows[Recording]) -> bool:
    """Return whether the rows of a manifest are these recordings, with these labels and speakers."""
    names = [field.name for field in fields(Recording)]
    return len(utterances) == len(found) and all(utterances.texts(name) == found.texts(name) for name in names)
