"""The 16 kHz cache: one memory-mapped Arrow file with a row for each recording, its audio as int16.

Any other program opens it with `datasets.Dataset.from_file("data/ravdess/audio.arrow")`. Inside `ser` the audio column
is used as what it is, one flat array in the page cache: a clip is a slice of it, and nothing is copied before a batch.
"""

from bisect import bisect_right
from pathlib import Path
from typing import Any

import datasets
from datasets.arrow_writer import ArrowWriter

from ser.console import progress
from ser.corpora.recordings import Recording
from ser.data import audio
from ser.data.audio import Int16, UnreadableAudio
from ser.data.threads import in_threads
from ser.errors import UserError
from ser.files import replacing

FILE = "audio.arrow"
ROWS_AT_A_TIME = 200
"""Clips in a chunk of the file, which is what writing holds in memory."""

FEATURES = datasets.Features(
    {
        "path": datasets.Value("string"),
        "size": datasets.Value("int64"),  # with mtime_ns tells whether the file changed since
        "mtime_ns": datasets.Value("int64"),
        "duration": datasets.Value("float64"),
        "sample_rate": datasets.Value("int32"),
        "channels": datasets.Value("int32"),
        "sha256": datasets.Value("string"),
        "peak": datasets.Value("int32"),
        "clipped": datasets.Value("bool"),
        "samples": datasets.Sequence(datasets.Value("int16")),
    }
)
IDENTITY = ("path", "size", "mtime_ns")
FACTS = [name for name in FEATURES if name != "samples"]

Facts = dict[str, Any]
"""A row without its samples."""


class Cache:
    """The recordings of a prepared corpus: `facts` in order, and `samples(index)` as int16 at 16 kHz."""

    def __init__(self, path: Path) -> None:
        table = datasets.Dataset.from_file(str(path)).data
        self.facts: list[Facts] = table.select(FACTS).to_pylist()
        self._chunks = [
            (chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=True))
            for chunk in table.column("samples").chunks
        ]
        self._starts = [0]
        for offsets, _ in self._chunks:
            self._starts.append(self._starts[-1] + len(offsets) - 1)

    def __len__(self) -> int:
        return len(self.facts)

    def samples(self, index: int) -> Int16:
        """A read-only view, `(samples,)`, of the mapped file."""
        chunk = bisect_right(self._starts, index) - 1
        offsets, values = self._chunks[chunk]
        start = index - self._starts[chunk]
        view: Int16 = values[offsets[start] : offsets[start + 1]]
        return view


def build(root: Path, recordings: list[Recording], path: Path) -> tuple[list[Facts], int]:
    """Bring the cache up to date with the recordings below `root`; decode only what changed.

    Returns:
        The facts of each recording, in order, and how many were decoded.

    Raises:
        UserError: recordings that cannot be used, all of them at once; the cache stays as it was.
    """
    old = Cache(path) if path.exists() else None
    files = [file_identity(root, recording.path) for recording in recordings]
    if old and [{name: facts[name] for name in IDENTITY} for facts in old.facts] == files:
        return old.facts, 0

    known = {tuple(facts[name] for name in IDENTITY): index for index, facts in enumerate(old.facts)} if old else {}

    def row(file: Facts) -> Facts | str:
        """The row of a recording, from the old cache if the file is unchanged, or what is wrong with it."""
        if old and (index := known.get(tuple(file.values()))) is not None:
            return {**old.facts[index], "samples": old.samples(index)}
        try:
            return {**file, **vars(audio.load(root / file["path"]))}
        except UnreadableAudio as error:
            return f"{file['path']}: {error}"

    facts, mistakes = list[Facts](), list[str]()
    with replacing(path) as temporary:
        writer = ArrowWriter(path=str(temporary), features=FEATURES, writer_batch_size=ROWS_AT_A_TIME)
        for result in progress(in_threads(row, files), "Decoding", total=len(files)):
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


def file_identity(root: Path, path: str) -> Facts:
    """What tells that a file is the one that was decoded."""
    stat = (root / path).stat()
    return {"path": path, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
