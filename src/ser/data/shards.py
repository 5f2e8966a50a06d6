"""The files of the 16 kHz cache: shards, with a row for each recording and its audio as int16, and their index.

A shard is an Arrow stream of one record batch: written under a temporary name and renamed, so that it is whole or
absent. The index lists the shards in use and is replaced last: a shard that it does not list is left over from an
interrupted preparation.
"""

import json
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ser.data.audio_file import Int16
from ser.errors import UserError
from ser.files import replacing, write_json

FOLDER = "audio"
"""Below `data_dir`."""
INDEX = "index.json"
OLD_FILE = "audio.arrow"
"""The cache of earlier releases, one file in `data_dir`; it is read as a shard."""
NAME = re.compile(r"(\d{5,})\.arrow")
MOST_ROWS = 1000
MOST_BYTES = 2**27
"""Of the samples of a shard, which is what writing one holds in memory. An interruption costs at most one shard."""

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),  # with mtime_ns tells whether the file changed since
        ("mtime_ns", pa.int64()),
        ("decoder", pa.string()),  # of whom the samples are
        ("duration", pa.float64()),
        ("sample_rate", pa.int32()),
        ("channels", pa.int32()),
        ("sha256", pa.string()),
        ("peak", pa.int32()),
        ("clipped", pa.bool_()),
        ("crc32", pa.int64()),  # of the samples below
        ("samples", pa.list_(pa.int16())),
    ]
)
FACTS = [name for name in SCHEMA.names if name != "samples"]
DAMAGES = (OSError, ValueError, KeyError, TypeError, NotImplementedError)
"""Errors of Arrow for a damaged file."""

Row = dict[str, Any]
"""The facts of a recording, and its samples."""


class UnusableCacheError(UserError):
    """A prepared file that is damaged, or was made by another version of the decoder."""


class MissingShardError(UnusableCacheError):
    """A shard that is listed and not there."""


class Chunk(NamedTuple):
    """A record batch of a shard, as views of the mapped file."""

    offsets: npt.NDArray[np.int32]
    samples: Int16
    crc32: npt.NDArray[np.int64]


class Shard:
    """A mapped shard: its `facts` as a table, and the samples of its rows."""

    def __init__(self, path: Path, rows: int | None = None) -> None:
        """Map a shard that should have a number of rows; the file is not kept open.

        Raises:
            UnusableCacheError: it is not what `write_shards` of this version writes.
            MissingShardError: there is no such file.
        """
        self.path = path
        try:
            with pa.memory_map(str(path)) as source:
                self.bytes = source.size()
                table = pa.ipc.open_stream(source).read_all()
            current = table.schema.names == SCHEMA.names
            if current:
                table = table if table.schema.equals(SCHEMA) else table.cast(SCHEMA)
                table.validate()
                self.facts = table.select(FACTS)
                self.facts.validate(full=True)  # texts are read where their offsets point
                self._chunks = [make_chunk(batch) for batch in table.to_batches()]
        except FileNotFoundError as error:
            raise MissingShardError(f"{path}: it is missing; prepare the data again") from error
        except DAMAGES as error:
            raise UnusableCacheError(f"{path}: it is damaged; prepare the data again") from error
        if not current:
            raise UnusableCacheError(f"{path}: an older version of ser decoded it; prepare the data again")
        if rows not in (None, len(self)):
            raise UnusableCacheError(f"{path}: it is damaged; prepare the data again")
        self._starts = [0]
        for chunk in self._chunks:
            self._starts.append(self._starts[-1] + len(chunk.crc32))

    def __len__(self) -> int:
        return int(self.facts.num_rows)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the samples of each row, `(rows,)`."""
        return np.concatenate([np.diff(chunk.offsets).astype(np.int64) for chunk in self._chunks])

    def samples(self, row: int) -> Int16:
        """Return a read-only view, `(samples,)`, of the mapped file."""
        chunk, place = self._locate(row)
        view: Int16 = chunk.samples[chunk.offsets[place] : chunk.offsets[place + 1]]
        return view

    def is_whole(self, row: int) -> bool:
        """Return whether the samples are those that were written, by their checksum."""
        chunk, place = self._locate(row)
        return zlib.crc32(self.samples(row).data) == int(chunk.crc32[place])

    def read(self, row: int) -> Row:
        """Return the facts and the samples of a row."""
        return {**self.facts.slice(row, 1).to_pylist()[0], "samples": self.samples(row)}

    def _locate(self, row: int) -> tuple[Chunk, int]:
        number = bisect_right(self._starts, row) - 1
        return self._chunks[number], row - self._starts[number]

    @property
    def is_full(self) -> bool:
        """Whether it stays when shards are written anew: it has at least half of the most rows or bytes."""
        return self.path.name != OLD_FILE and (len(self) >= MOST_ROWS / 2 or self.bytes >= MOST_BYTES / 2)


def make_chunk(batch: pa.RecordBatch) -> Chunk:
    lists = batch.column("samples")
    return Chunk(
        lists.offsets.to_numpy(),
        lists.values.to_numpy(zero_copy_only=True),
        batch.column("crc32").to_numpy(zero_copy_only=True),
    )


def write_shards(folder: Path, number: int, rows: Iterable[Row]) -> dict[str, int]:
    """Write rows into shards, named from `number` on; return the number of rows of each."""
    written, remaining = dict[str, int](), iter(rows)
    for first in remaining:
        name = f"{number + len(written):05}.arrow"
        with replacing(folder / name) as temporary:
            written[name] = write_shard(temporary, chain([first], remaining))
    return written


def write_shard(path: Path, rows: Iterator[Row]) -> int:
    """Write the next rows, until the shard is full; return their number."""
    columns: dict[str, list[Any]] = {name: [] for name in FACTS}
    samples, offsets = bytearray(), [0]
    for row in rows:
        for name, values in columns.items():
            values.append(row[name])
        samples += np.ascontiguousarray(row["samples"]).data
        offsets.append(len(samples) // 2)
        if len(offsets) > MOST_ROWS or len(samples) >= MOST_BYTES:
            break
    arrays = [pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()]
    arrays.append(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.frombuffer(samples, np.int16))))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
    return len(offsets) - 1


def read_index(data_dir: Path) -> dict[Path, int | None]:
    """Return the files of the cache in use, with their numbers of rows as far as they are known.

    Raises:
        UnusableCacheError: there is none, or the index is damaged.
    """
    path = data_dir / FOLDER / INDEX
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["shards"]
        if not all(NAME.fullmatch(name) and isinstance(rows, int) for name, rows in listed.items()):
            raise ValueError("it lists no shards")
        return {path.with_name(name): rows for name, rows in listed.items()}
    except FileNotFoundError:
        if (data_dir / OLD_FILE).is_file():
            return {data_dir / OLD_FILE: None}
        raise UnusableCacheError(f"{path}: it is missing; prepare the data again") from None
    except (*DAMAGES, AttributeError) as error:
        raise UnusableCacheError(f"{path}: it is damaged; prepare the data again") from error


def write_index(data_dir: Path, rows: dict[str, int]) -> None:
    """Put shards into use, each with its number of rows."""
    write_json(data_dir / FOLDER / INDEX, {"shards": rows})


def list_shards(data_dir: Path) -> list[Path]:
    """Return the shards of a folder, in use or left over, in the order in which they were written."""
    found = [path for path in (data_dir / FOLDER).glob("*.arrow") if NAME.fullmatch(path.name)]
    return sorted(found, key=number_of)


def number_of(path: Path) -> int:
    return int(path.stem)
