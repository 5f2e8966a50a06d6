"""The prepared folder, opened by everything that needs audio; `ser.data.preparation` writes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from ser import corpora
from ser.checksums import checksum
from ser.columns import match_texts
from ser.config import Corpus, SharedLabels
from ser.corpora.facts import Facts
from ser.data import audit, manifest
from ser.data.arrow_cache import AudioCache, Clips, Indices, UnusableCacheError, open_cache
from ser.data.audio import DECODER
from ser.data.audio_file import Int16
from ser.data.combined import JoinedClips
from ser.data.copies import Pair, near_pairs
from ser.data.manifest import Utterance
from ser.errors import UserError
from ser.rows import Rows


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus that is ready for use."""

    corpus: str
    emotions: tuple[str, ...]
    """The labels in the order of the corpus."""
    utterances: Rows[Utterance]
    audio: AudioCache | JoinedClips
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

    def rows(self, utterances: Sequence[Utterance]) -> Rows[Utterance]:
        """Return recordings of the corpus as columns."""
        return Rows.of(Utterance, utterances)

    def indices(self, utterances: Sequence[Utterance]) -> Indices:
        """Return the indices of recordings in `audio`, `(recordings,)`.

        Raises:
            KeyError: one of them is not there.
        """
        found = find_indices(self.rows(utterances), self.audio)
        if (found < 0).any():
            raise KeyError(self.rows(utterances)[int(np.argmin(found))].path)
        return found


class CorpusClips(Sequence[Int16]):
    """The samples of some recordings of a corpus, each read when it is asked for."""

    def __init__(self, prepared: PreparedCorpus, utterances: Sequence[Utterance]) -> None:
        """Find the recordings; see `PreparedCorpus.indices`."""
        self._audio, self._places = prepared.audio, prepared.indices(utterances).tolist()

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Int16: ...
    @overload
    def __getitem__(self, index: slice) -> list[Int16]: ...
    def __getitem__(self, index: int | slice) -> Int16 | list[Int16]:
        if isinstance(index, slice):
            return [self._audio.samples(place) for place in self._places[index]]
        return self._audio.samples(self._places[index])


def find_indices(utterances: Rows[Utterance], clips: Clips) -> Indices:
    """Return the indices of recordings among decoded clips, `(recordings,)`; -1 for one that is not there."""
    return match_texts(utterances.texts("path"), clips.select("path")["path"])


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
    utterances, report = read_manifest(folder)
    emotions = tuple(report.get("emotions") or utterances.distinct("emotion"))
    if unknown := sorted({*utterances.distinct("emotion")} - set(emotions)):
        raise UserError(f"{folder / manifest.FILE}: unknown emotions {', '.join(unknown)}; choices: {emotions}")
    parts: dict[str, Any] = report.get("parts", {})
    clips = open_joined(folder, parts) if parts else open_cache(folder)
    if (absent := find_indices(utterances, clips) < 0).any():
        raise UnusableCacheError(
            f"data_dir={folder}: {utterances[int(np.argmax(absent))].path} is in the manifest but not in the cache; "
            "prepare the data again"
        )
    return PreparedCorpus(
        corpus=report["corpus"],
        emotions=emotions,
        utterances=utterances,
        audio=clips,
        duplicates=near_pairs(report, utterances),
        root=report["root"],
        facts=corpora.recorded_facts(report),
        labels=report.get("labels", {}),
        folder=str(folder.resolve()),
        sha256=report["manifest_sha256"],
        parts={name: part["manifest_sha256"] for name, part in parts.items()},
    )


def read_manifest(folder: Path) -> tuple[Rows[Utterance], dict[str, Any]]:
    """Return the manifest of a folder and its audit; the columns are mapped where both files are those of the audit."""
    if not (folder / manifest.FILE).is_file():
        return manifest.read(folder / manifest.FILE), {}  # raises
    report = read_audit(folder / audit.FILE)
    files = {folder / name: digest for name, digest in report.get("files", {}).items()}
    if files and all(path.is_file() and checksum(path) == digest for path, digest in files.items()):
        return manifest.map_columns(folder / manifest.COLUMNS_FILE), report
    utterances = manifest.read(folder / manifest.FILE)
    if report["manifest_sha256"] != manifest.checksum(utterances):
        raise UnusableCacheError(
            f"data_dir={folder}: {manifest.FILE} is not the one that was prepared (changed, cut or half of another "
            "preparation); prepare the data again"
        )
    return utterances, report


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
