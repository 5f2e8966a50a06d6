"""The 16 kHz cache, memory-mapped: the shards of a prepared corpus as one.

Any other program opens a shard with `datasets.Dataset.from_file("data/ravdess/audio/00000.arrow")`. Inside `ser` the
audio column is used as what it is, one flat array in the page cache: a clip is a slice of it, and nothing is copied
before a batch.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ser.columns import match_texts
from ser.data.audio import DECODED_BY
from ser.data.audio_file import Int16
from ser.data.shards import FACTS, SCHEMA, MissingShardError, Shard, read_index
from ser.data.shards import UnusableCacheError as UnusableCacheError

Facts = dict[str, Any]
"""A row without its samples."""
Indices = npt.NDArray[np.int64]


class Clips(Protocol):
    """Decoded recordings with their facts: a cache, or several."""

    def select(self, *names: str) -> pa.Table:
        """Return some of the columns `FACTS`, with a row for each recording."""

    def __len__(self) -> int: ...

    def lengths(self) -> Indices:
        """Return the samples of each recording at 16 kHz, `(recordings,)`."""

    def samples(self, index: int) -> Int16: ...


class AudioCache:
    """The recordings of a prepared corpus: `facts` as a table, and `samples(index)` as int16 at 16 kHz.

    Their order is that of the shards, which is that of the manifest only until some of them change.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Join shards; nothing of them is copied."""
        self._shards = shards
        self._starts = [0, *accumulate(len(shard) for shard in shards)]
        self.facts: pa.Table = pa.concat_tables([SCHEMA.empty_table().select(FACTS), *(s.facts for s in shards)])
        self._checked = bytearray(len(self))

    def __len__(self) -> int:
        return self._starts[-1]

    def select(self, *names: str) -> pa.Table:
        """Return some facts of each recording, mapped."""
        return self.facts.select(names)

    def lengths(self) -> Indices:
        """Return the samples of each recording at 16 kHz, `(recordings,)`; the offsets of the shards give them."""
        return np.concatenate([np.zeros(0, np.int64), *(shard.lengths() for shard in self._shards)])

    def samples(self, index: int) -> Int16:
        """Return a read-only view, `(samples,)`, of a mapped file; its checksum is compared once.

        Raises:
            UnusableCacheError: they are not what was written.
        """
        shard, row = self.locate(index)
        if not self._checked[index]:
            if not shard.is_whole(row):
                name = shard.facts["path"][row].as_py()
                raise UnusableCacheError(f"{shard.path}: it is damaged (the samples of {name}); prepare the data again")
            self._checked[index] = 1
        return shard.samples(row)

    def locate(self, index: int) -> tuple[Shard, int]:
        """Return the shard of a recording, and its row there."""
        number = bisect_right(self._starts, index) - 1
        return self._shards[number], index - self._starts[number]

    def holds(self, files: pa.Table) -> bool:
        """Return whether these files were decoded, and no others, in their present state and by the present decoder."""
        return len(self) == len(files) and bool((match_rows(self.facts, files) >= 0).all())


class OrderedClips:
    """Recordings in another order."""

    def __init__(self, clips: Clips, order: Indices) -> None:
        """Take the recordings whose indices are in `order`."""
        self._clips, self._order = clips, order

    def select(self, *names: str) -> pa.Table:
        """Return a copy of some facts, in the order."""
        return self._clips.select(*names).take(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def lengths(self) -> Indices:
        return self._clips.lengths()[self._order]

    def samples(self, index: int) -> Int16:
        return self._clips.samples(int(self._order[index]))


def put_in_order(clips: Clips, order: Indices) -> Clips:
    """Return recordings in another order, which they may have already."""
    return clips if np.array_equal(order, np.arange(len(clips))) else OrderedClips(clips, order)


def open_cache(data_dir: Path) -> AudioCache:
    """Map the cache of a folder.

    Raises:
        UnusableCacheError: there is none, or it is not what this version writes.
    """
    listed = read_index(data_dir)
    try:
        return AudioCache([Shard(path, rows) for path, rows in listed.items()])
    except MissingShardError:
        if read_index(data_dir) != listed:  # it was prepared again in between
            return open_cache(data_dir)
        raise


def match_rows(facts: pa.Table, files: pa.Table) -> Indices:
    """Return for each row of a cache the index of its file; -1 where the file is another now, or by another decoder.

    Args:
        facts: The rows.
        files: See `ser.data.decoding.file_identities`; a path occurs once.
    """
    current = pc.equal(facts["decoder"], DECODED_BY).to_numpy()
    found = match_texts(facts["path"], files["path"])
    for name in ("size", "mtime_ns") if len(files) else ():
        current &= facts[name].to_numpy() == files[name].to_numpy()[found]
    found[~current] = -1
    return found
