"""The prepared folder: made by `prepare`, opened by everything that needs audio."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser.config import Audit, Corpus, Protocol, Split
from ser.corpora import CORPORA
from ser.data import arrow_cache, audit, manifest
from ser.data.arrow_cache import AudioCache, UnusableCacheError
from ser.data.audio import DECODED_BY, DECODER
from ser.data.manifest import Utterance
from ser.data.protocols import identify_splits, list_folds, split_corpus
from ser.errors import UserError
from ser.files import printable, remove, write_json
from ser.locks import locked

log = logging.getLogger("ser")


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus that is ready for use."""

    corpus: str
    emotions: tuple[str, ...]
    """The labels in the order of the corpus."""
    utterances: list[Utterance]
    audio: AudioCache
    index_of: dict[str, int]
    """Path of a recording -> its index in `audio`."""
    duplicates: list[audit.Pair]
    """Pairs of duplicates that the audit found."""
    root: str = ""
    """The folder that was prepared."""

    def indices(self, utterances: Sequence[Utterance]) -> list[int]:
        """Return the indices of recordings in `audio`."""
        return [self.index_of[utterance.path] for utterance in utterances]


def prepare(corpus: Corpus, protocol: Protocol, root: str | None, data_dir: str, strictness: Audit) -> dict[str, Any]:
    """Read a corpus into `data_dir`: manifest, split lists (of the first fold), audit and the 16 kHz cache.

    Returns:
        What audit.json holds, with the number of recordings that had to be `decoded`.

    Raises:
        UserError: the root or recordings below it cannot be used, or a strict audit finds something on both sides of a
            fold; the lists and the manifest in `data_dir` are left as they were.
    """
    with locked(Path(data_dir), wait=True):
        return prepare_unlocked(corpus, protocol, root, Path(data_dir), strictness)


def prepare_unlocked(
    corpus: Corpus, protocol: Protocol, root: str | None, target: Path, strictness: Audit
) -> dict[str, Any]:
    """Run `prepare` while holding the lock of the folder."""
    module = CORPORA[corpus.name]
    source = Path(root).expanduser() if root else generate_recordings(module, target)
    if not source.is_dir():
        raise UserError(f"root={source}: {'it is no folder' if source.exists() else 'there is no such folder'}")
    found = module.scan(source)
    if not found.recordings:
        raise UserError(f"root={source}: no speech recording of {module.DESCRIPTION} ({found.summary() or 'no files'})")
    # Everything that can be refused without decoding is refused before anything is written.
    split_corpus([manifest.Utterance(**vars(recording)) for recording in found.recordings], protocol)
    facts, decoded = arrow_cache.build(source, found.recordings, target / arrow_cache.FILE)
    utterances = [manifest.make_utterance(*pair) for pair in zip(found.recordings, facts, strict=True)]
    splits = split_corpus(utterances, protocol)
    report = {
        "corpus": corpus.name,
        "root": printable(str(source.resolve())),
        "decoder": DECODED_BY,
        "manifest_sha256": manifest.checksum(utterances),
        "description": module.DESCRIPTION,
        "synthetic": module.SYNTHETIC,
        "protocol": identify_splits(replace(protocol, fold=list_folds(protocol)[0]), splits),
        **audit.audit(found, utterances, AudioCache(target / arrow_cache.FILE), splits, module.FORMAT),
    }
    duplicates = audit.duplicate_pairs(report)
    for fold in list_folds(protocol):
        audit.check_leaks(split_corpus(utterances, replace(protocol, fold=fold)), duplicates, strictness)
    for split in Split:
        path = target / f"{split.value}.csv"
        manifest.write(path, splits.get(split)) if splits.get(split) else remove(path)
    write_json(target / audit.FILE, report)
    manifest.write(target / manifest.FILE, utterances)  # last: a folder with a manifest is complete
    return {**report, "decoded": decoded}


def generate_recordings(module: Any, target: Path) -> Path:
    """Generate the recordings of a corpus that needs no root."""
    if not module.SYNTHETIC:
        raise UserError("root is missing: give the corpus's folder, as in `ser prepare-data --root RAVDESS`")
    source = target / "recordings"
    module.generate(source)
    return source


def open_or_prepare(corpus: Corpus, protocol: Protocol, root: str | None, data_dir: str) -> PreparedCorpus:
    """Open the prepared corpus; prepare it first where a root is given that is not the one in `data_dir` as it is now.

    Raises:
        UserError: see `prepare` and `open_prepared`.
    """
    if root is not None:
        with locked(Path(data_dir), wait=True):
            if why := reason_outdated(corpus, Path(root).expanduser(), Path(data_dir)):
                log.info("%s: %s; preparing root=%s", data_dir, why, root)
                audit.log_warnings(prepare_unlocked(corpus, protocol, root, Path(data_dir), Audit.warn))
    return open_prepared(data_dir, corpus.name)


def reason_outdated(corpus: Corpus, root: Path, folder: Path) -> str:
    """Return why a prepared folder is not the corpus below a root; empty if it is.

    Raises:
        UserError: the folder holds another corpus, which is not thrown away for a root; or the root cannot be used.
    """
    if not (folder / manifest.FILE).is_file():
        return "nothing is prepared there yet"
    try:
        prepared = open_prepared(str(folder), corpus.name)
    except UnusableCacheError as error:
        return str(error).removeprefix(f"{folder}: ")
    if not root.is_dir():
        raise UserError(f"root={root}: {'it is no folder' if root.exists() else 'there is no such folder'}")
    files = arrow_cache.file_identities(root, CORPORA[corpus.name].scan(root).recordings)
    return (
        "" if prepared.audio.holds(files) else f"it was made from other files or by another decoder ({prepared.root})"
    )


def open_prepared(data_dir: str, corpus: str) -> PreparedCorpus:
    """Open what `prepare` wrote.

    Raises:
        UserError: the folder holds nothing prepared, another corpus, emotions that the corpus does not have, or what
            another version of the decoder made; or its files are damaged or do not belong to one another.
    """
    folder, module = Path(data_dir), CORPORA[corpus]
    utterances, report = manifest.read(folder / manifest.FILE), read_audit(folder / audit.FILE)
    if report["corpus"] != corpus:
        raise UserError(f"data_dir={folder}: it holds the corpus {report['corpus']}, not {corpus}")
    if unknown := sorted({row.emotion for row in utterances} - set(module.EMOTIONS)):
        raise UserError(f"{folder / manifest.FILE}: unknown emotions {', '.join(unknown)}; choices: {module.EMOTIONS}")
    audio = AudioCache(folder / arrow_cache.FILE)
    rows = {facts["path"]: index for index, facts in enumerate(audio.facts)}
    if stale := [row.path for row in utterances if row.path not in rows]:
        raise UnusableCacheError(
            f"data_dir={folder}: {stale[0]} is in the manifest but not in the cache; prepare the data again"
        )
    if report["manifest_sha256"] != manifest.checksum(utterances):
        raise UnusableCacheError(
            f"data_dir={folder}: {manifest.FILE} is not the one that was prepared (changed, cut or half of another "
            "preparation); prepare the data again"
        )
    return PreparedCorpus(
        corpus, module.EMOTIONS, utterances, audio, rows, audit.duplicate_pairs(report), report["root"]
    )


def read_audit(path: Path) -> dict[str, Any]:
    """Read audit.json.

    Raises:
        Unusable: it is missing, damaged, or of another version of the decoder.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made_by = int(str(report.get("decoder", "1")).split()[0])
    except (OSError, ValueError, AttributeError, IndexError) as error:
        raise UnusableCacheError(f"{path}: it is missing or damaged; prepare the data again") from error
    if made_by != DECODER:
        raise UnusableCacheError(
            f"{path.parent}: {'an older' if made_by < DECODER else 'a newer'} version of ser decoded it; "
            "prepare the data again"
        )
    return report
