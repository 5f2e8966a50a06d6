"""The prepared folder, opened by everything that needs audio; `ser.data.preparation` writes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ser import corpora
from ser.config import Corpus, SharedLabels
from ser.corpora.facts import Facts
from ser.data import audit, manifest
from ser.data.arrow_cache import AudioCache, UnusableCacheError, open_cache
from ser.data.audio import DECODER
from ser.data.combined import JoinedClips
from ser.data.copies import Pair, near_pairs
from ser.data.manifest import Utterance
from ser.errors import UserError


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus that is ready for use."""

    corpus: str
    emotions: tuple[str, ...]
    """The labels in the order of the corpus."""
    utterances: list[Utterance]
    audio: AudioCache | JoinedClips
    index_of: dict[str, int]
    """Path of a recording -> its index in `audio`."""
    duplicates: list[Pair]
    """Copies that the audit found and whose samples differ; equal ones have equal checksums in `utterances`."""
    root: str = ""
    """The folder that was prepared."""
    facts: Facts = field(default_factory=lambda: Facts(""))
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    """Labels that were `mapped` and `left_out`, with their numbers of recordings."""
    folder: str = ""
    sha256: str = ""
    """Of the manifest."""
    parts: dict[str, str] = field(default_factory=dict)
    """Of several corpora together: name -> sha256 of its manifest."""

    def indices(self, utterances: Sequence[Utterance]) -> list[int]:
        """Return the indices of recordings in `audio`."""
        return [self.index_of[utterance.path] for utterance in utterances]


def is_combined(corpus: Corpus) -> bool:
    """Return whether a corpus is several prepared ones together."""
    return (corpus.reader or corpus.name) == corpora.COMBINED


def label_settings(corpus: Corpus) -> dict[str, Any]:
    """Return the values of the config that decide which recordings are used, and with which labels."""
    values: dict[str, Any] = {
        "variant": corpus.variant,
        "scheme": corpus.scheme,
        "emotions": dict(corpus.emotions),
        "labels": (corpus.labels or SharedLabels.shared).value if is_combined(corpus) else None,
    }
    return {name: value for name, value in values.items() if value}


def open_prepared(data_dir: str, corpus: Corpus) -> PreparedCorpus:
    """Open what `prepare` wrote.

    Raises:
        UserError: the folder holds nothing prepared, another corpus or other labels, or what another version of the
            decoder made; or its files are damaged or do not belong to one another.
    """
    folder = Path(data_dir)
    prepared = open_folder(folder)
    if prepared.corpus != corpus.name:
        raise UserError(f"data_dir={folder}: it holds the corpus {prepared.corpus}, not {corpus.name}")
    settings, wanted = read_audit(folder / audit.FILE).get("settings", {}), label_settings(corpus)
    if settings != wanted:
        differing = next(name for name in (*wanted, *settings) if wanted.get(name) != settings.get(name))
        message = (
            f"data_dir={folder}: it was prepared with corpus.{differing}={settings.get(differing)}, not "
            f"{wanted.get(differing)}; repeat that here, or prepare the data again"
        )
        raise UnusableCacheError(message)
    return prepared


def open_folder(folder: Path) -> PreparedCorpus:
    """Open a prepared folder, whatever corpus is in it; see `open_prepared`."""
    utterances, report = manifest.read(folder / manifest.FILE), read_audit(folder / audit.FILE)
    emotions = tuple(report.get("emotions") or sorted({row.emotion for row in utterances}))
    if unknown := sorted({row.emotion for row in utterances} - set(emotions)):
        raise UserError(f"{folder / manifest.FILE}: unknown emotions {', '.join(unknown)}; choices: {emotions}")
    if report["manifest_sha256"] != manifest.checksum(utterances):
        raise UnusableCacheError(
            f"data_dir={folder}: {manifest.FILE} is not the one that was prepared (changed, cut or half of another "
            "preparation); prepare the data again"
        )
    parts: dict[str, Any] = report.get("parts", {})
    clips = open_joined(folder, parts) if parts else open_cache(folder)
    rows = {path: index for index, path in enumerate(clips.facts["path"].to_pylist())}
    if stale := [row.path for row in utterances if row.path not in rows]:
        raise UnusableCacheError(
            f"data_dir={folder}: {stale[0]} is in the manifest but not in the cache; prepare the data again"
        )
    return PreparedCorpus(
        corpus=report["corpus"],
        emotions=emotions,
        utterances=utterances,
        audio=clips,
        index_of=rows,
        duplicates=near_pairs(report, utterances),
        root=report["root"],
        facts=corpora.recorded_facts(report),
        labels=report.get("labels", {}),
        folder=str(folder.resolve()),
        sha256=report["manifest_sha256"],
        parts={name: part["manifest_sha256"] for name, part in parts.items()},
    )


def open_joined(folder: Path, parts: dict[str, Any]) -> JoinedClips:
    """Open the audio of joined corpora where they are."""
    clips: dict[str, AudioCache] = {}
    for name, part in parts.items():
        there = Path(part["folder"])
        if read_audit(there / audit.FILE)["manifest_sha256"] != part["manifest_sha256"]:
            raise UnusableCacheError(f"data_dir={folder}: its part {name} ({there}) changed; prepare the data again")
        clips[name] = open_cache(there)
    return JoinedClips(clips)


def open_parts(folders: Sequence[Path]) -> dict[str, PreparedCorpus]:
    """Open the corpora that are joined, by name.

    Raises:
        UserError: one of them is not prepared or is itself joined, or two have the same name.
    """
    parts: dict[str, PreparedCorpus] = {}
    for folder in folders:
        if not (folder / manifest.FILE).is_file():
            raise UserError(
                f"corpus.parts: {folder} is not prepared; run `ser prepare-data corpus={folder.name} --root DIR` first"
            )
        part = open_folder(folder)
        if part.parts or part.corpus in parts:
            why = "it is itself joined" if part.parts else f"another part is called {part.corpus} too"
            raise UserError(f"corpus.parts: {folder}: {why}; give corpora with names of their own (corpus.name=...)")
        parts[part.corpus] = part
    return parts


def read_audit(path: Path) -> dict[str, Any]:
    """Read audit.json.

    Raises:
        UnusableCacheError: it is missing, damaged, or of another version of the decoder.
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
