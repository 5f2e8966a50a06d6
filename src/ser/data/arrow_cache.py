"""The 16 kHz cache: one memory-mapped Arrow file with a row for each recording, its audio as int16.

Any other program opens it with `datasets.Dataset.from_file("data/ravdess/audio.arrow")`. Inside `ser` the audio column
is used as what it is, one flat array in the page cache: a clip is a slice of it, and nothing is copied before a batch.
"""

import logging
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Any, Protocol

import datasets
import numpy as np
from datasets.arrow_writer import ArrowWriter

from ser.console import progress
from ser.corpora.recordings import Recording, split_fragment
from ser.data import audio
from ser.data.audio import DECODED_BY, Int16, UnreadableAudio
from ser.data.parallel import in_threads
from ser.errors import UserError
from ser.files import replacing

log = logging.getLogger("ser")

FILE = "audio.arrow"
ROWS_AT_A_TIME = 200
"""Clips in a chunk of the file, which is what writing holds in memory."""

FEATURES = datasets.Features(
    {
        "path": datasets.Value("string"),
        "size": datasets.Value("int64"),  # with mtime_ns tells whether the file changed since
        "mtime_ns": datasets.Value("int64"),
        "decoder": datasets.Value("string"),  # of whom the samples are
        "duration": datasets.Value("float64"),
        "sample_rate": datasets.Value("int32"),
        "channels": datasets.Value("int32"),
        "sha256": datasets.Value("string"),
        "peak": datasets.Value("int32"),
        "clipped": datasets.Value("bool"),
        "crc32": datasets.Value("int64"),  # of the samples below
        "samples": datasets.Sequence(datasets.Value("int16")),
    }
)
DAMAGES = (OSError, ValueError, KeyError, TypeError, NotImplementedError)
"""Errors of Arrow for a damaged file."""
IDENTITY = ("path", "size", "mtime_ns", "decoder")
FACTS = [name for name in FEATURES if name != "samples"]

Facts = dict[str, Any]
"""A row without its samples."""


class UnusableCacheError(UserError):
    """A prepared file that is damaged, or was made by another version of the decoder."""


class Clips(Protocol):
    """Decoded recordings with their facts: a cache, or several."""

    facts: list[Facts]

    def __len__(self) -> int: ...

    def samples(self, index: int) -> Int16: ...


class AudioCache:
    """The recordings of a prepared corpus: `facts` in order, and `samples(index)` as int16 at 16 kHz."""

    def __init__(self, path: Path) -> None:
        """Map a cache.

        Raises:
            Unusable: it is not what `build` of this version writes.
        """
        self._path = path
        try:
            table = datasets.Dataset.from_file(str(path)).data
            current = table.schema.names == list(FEATURES)
            self.facts: list[Facts] = table.select(FACTS).to_pylist() if current else []
            self._chunks = [
                (chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=True))
                for chunk in table.column("samples").chunks
            ]
        except DAMAGES as error:
            raise UnusableCacheError(f"{path}: it is damaged; prepare the data again") from error
        if not current:
            raise UnusableCacheError(f"{path}: an older version of ser decoded it; prepare the data again")
        self._starts = [0]
        for offsets, _ in self._chunks:
            self._starts.append(self._starts[-1] + len(offsets) - 1)
        self._checked = bytearray(len(self.facts))

    def __len__(self) -> int:
        return len(self.facts)

    def samples(self, index: int) -> Int16:
        """Return a read-only view, `(samples,)`, of the mapped file; its checksum is compared once.

        Raises:
            Unusable: they are not what was written.
        """
        chunk = bisect_right(self._starts, index) - 1
        offsets, values = self._chunks[chunk]
        start = index - self._starts[chunk]
        view: Int16 = values[offsets[start] : offsets[start + 1]]
        if not self._checked[index]:
            if zlib.crc32(view.data) != self.facts[index]["crc32"]:
                name = self.facts[index]["path"]
                raise UnusableCacheError(f"{self._path}: it is damaged (the samples of {name}); prepare the data again")
            self._checked[index] = 1
        return view

    def holds(self, files: list[Facts]) -> bool:
        """Return whether these files were decoded, in their present state and by the present decoder."""
        return [{name: facts[name] for name in IDENTITY} for facts in self.facts] == files


def open_cache(path: Path) -> AudioCache | None:
    """Return the cache of a folder, if there is one that can be used; why one cannot is logged."""
    if not path.exists():
        return None
    try:
        cache = AudioCache(path)
        for index in range(len(cache)):
            cache.samples(index)
    except UnusableCacheError as error:
        log.warning("warning: %s", str(error).replace("prepare the data again", "all is decoded again"))
        return None
    return cache


def build(root: Path, recordings: list[Recording], path: Path) -> tuple[list[Facts], int]:
    """Bring the cache up to date with the recordings below `root`; decode only what changed.

    Returns:
        The facts of each recording, in order, and how many were decoded.

    Raises:
        UserError: recordings that cannot be used, all of them at once; the cache stays as it was.
    """
    old, files = open_cache(path), file_identities(root, recordings)
    if old and old.holds(files):
        return old.facts, 0
    if old and old.facts and old.facts[0]["decoder"] != DECODED_BY:
        log.info("%s: decoded by %s, and again by %s", path, old.facts[0]["decoder"], DECODED_BY)

    known = {tuple(facts[name] for name in IDENTITY): index for index, facts in enumerate(old.facts)} if old else {}

    def row(file: Facts) -> Facts | str:
        """Return the row of a recording, from the old cache if the file is unchanged, or what is wrong with it."""
        if old and (index := known.get(tuple(file.values()))) is not None:
            return {**old.facts[index], "samples": old.samples(index)}
        try:
            clip = audio.load(*locate(root, file["path"]))
            return {**file, **vars(clip), "crc32": zlib.crc32(np.ascontiguousarray(clip.samples).data)}
        except UnreadableAudio as error:
            return f"{file['path']}: {error}"
        except OSError as error:
            return f"{file['path']}: {error.strerror}"

    facts, mistakes = list[Facts](), list[str]()
    with replacing(path) as temporary:
        writer = ArrowWriter(path=str(temporary), features=FEATURES, writer_batch_size=ROWS_AT_A_TIME)
        with progress(in_threads(row, files), "Decoding", total=len(files)) as results:
            for result in results:
                if isinstance(result, str):
                    mistakes.append(result)
                else:
                    facts.append({name: result[name] for name in FACTS})
                    writer.write(result)
        writer.finalize()
        writer.close()
        if mistakes:
            raise UserError(f"root={root}: {len(mistakes)} unusable recordings: " + "; ".join(mistakes))
    return facts, sum(tuple(file.values()) not in known for file in files)


def locate(root: Path, path: str) -> tuple[Path, tuple[float, float | None]]:
    """Return the file of a recording, and where it begins and ends in it."""
    file, span = split_fragment(path)
    return root / file, span


def file_identities(root: Path, recordings: list[Recording]) -> list[Facts]:
    """Return the facts that identify the file of each recording and the decoder."""
    found = []
    for recording in recordings:
        stat = (root / recording.file).stat()
        found.append(
            {"path": recording.path, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "decoder": DECODED_BY}
        )
    return found
