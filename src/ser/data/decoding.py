"""Bring the 16 kHz cache up to date: recordings that are known stay in their shards, the others are decoded.

A shard stays as it is while all of its rows are wanted. The recordings of other shards, the new ones and those of small
shards are written into new shards; only what no shard holds is decoded. So an interrupted preparation goes on where it
was, a changed file replaces its own shard, and additions do not leave a small shard each.
"""

import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ser.config import Engine
from ser.console import progress
from ser.corpora.recordings import Recording, split_fragment
from ser.data import audio, shards
from ser.data.arrow_cache import AudioCache, Clips, Indices, match_rows, open_cache, put_in_order
from ser.data.audio import DECODED_BY
from ser.data.containers import UnreadableAudio
from ser.data.engines import open_engine
from ser.data.parallel import in_threads
from ser.data.shards import Row, Shard, UnusableCacheError
from ser.errors import UserError
from ser.files import remove_temporary
from ser.rows import Rows, iterate_texts
from ser.tables import shorten

log = logging.getLogger("ser")

DECODED_TOGETHER = 16
"""Recordings that a worker of a cluster decodes in a task."""


@dataclass(frozen=True)
class Plan:
    """What a preparation keeps and what it writes."""

    kept: list[Shard]
    known: AudioCache
    """All shards that are there."""
    source: Indices
    """For each file, the row of `known` that holds it; -1: it is decoded."""
    pending: Indices
    """The files that are written into new shards."""


def build(
    root: Path, recordings: Sequence[Recording], data_dir: Path, engine: Engine = Engine.local
) -> tuple[Clips, int]:
    """Bring the cache up to date with the recordings below `root`; decode only what no shard holds.

    Returns:
        The recordings in their order, and how many were decoded.

    Raises:
        UserError: recordings that cannot be used, all of them at once. The cache stays as it was, and what was decoded
            is left beside it for the next preparation.
    """
    remove_temporary(data_dir / shards.FOLDER)
    files = file_identities(root, recordings)
    listed = read_listed(data_dir)
    there = {**listed, **dict.fromkeys(path for path in shards.list_shards(data_dir) if path not in listed)}
    plan = make_plan(files, open_shards(there), list(listed))
    if len(plan.pending) or [shard.path for shard in plan.kept] != list(listed):
        written, mistakes = write_pending(root, files, plan, data_dir, engine)
        if mistakes:
            # The rows of the other shards that are not in use were copied, and would be once more at the next attempt.
            remove_shards(data_dir, [*listed, *(shard.path for shard in plan.kept)], written)
            raise UserError(f"root={root}: {len(mistakes)} unusable recordings: " + "; ".join(mistakes))
        shards.write_index(data_dir, {shard.path.name: len(shard) for shard in plan.kept} | written)
    remove_shards(data_dir, shards.read_index(data_dir))
    clips = open_cache(data_dir)
    order = np.empty(len(files), np.int64)
    order[match_rows(clips.facts, files)] = np.arange(len(files))
    return put_in_order(clips, order), int((plan.source[plan.pending] < 0).sum())


def file_identities(root: Path, recordings: Sequence[Recording]) -> pa.Table:
    """Return what tells whether a file changed: the columns `path`, `size` and `mtime_ns`, -1 where there is none."""
    paths, states = Rows.of(Recording, recordings).texts("path"), np.full((2, len(recordings)), -1)
    for index, path in enumerate(iterate_texts(paths)):
        with suppress(OSError):  # decoding names what is wrong with it
            stat = os.stat(os.path.join(root, split_fragment(path)[0]))
            states[:, index] = stat.st_size, stat.st_mtime_ns
    return pa.table({"path": paths, "size": states[0], "mtime_ns": states[1]})


def read_listed(data_dir: Path) -> dict[Path, int | None]:
    """Return the shards in use; none where there is no index that can be read."""
    try:
        return shards.read_index(data_dir)
    except UnusableCacheError as error:
        if (data_dir / shards.FOLDER / shards.INDEX).exists():
            log.warning("warning: %s", str(error).replace("prepare the data again", "the shards beside it are used"))
        return {}


def open_shards(paths: Mapping[Path, int | None]) -> list[Shard]:
    """Map shards; why one cannot be used is logged."""
    opened = []
    for path, rows in paths.items():
        try:
            opened.append(Shard(path, rows))
        except UnusableCacheError as error:
            reason = str(error).replace("prepare the data again", "its recordings are decoded again")
            log.warning("warning: %s", reason)
    return opened


def make_plan(files: pa.Table, there: Sequence[Shard], listed: Sequence[Path]) -> Plan:
    """Decide which shards are kept, and where the files of the others come from.

    Args:
        files: See `file_identities`.
        there: The shards that can be read, those in use first.
        listed: The shards in use.
    """
    known = AudioCache(there)
    for other in set(pc.unique(known.facts["decoder"]).to_pylist()) - {DECODED_BY}:
        log.info("%s: decoded by %s, and again by %s", there[0].path.parent, other, DECODED_BY)
    held = match_rows(known.facts, files)
    parts = np.split(held, np.cumsum([len(shard) for shard in there]))[: len(there)]
    drop_damaged(there, parts)
    pairs = list(zip(there, parts, strict=True))
    kept, pending = keep(pairs, len(files))
    names = [shard.path.name for shard in kept]
    if len(pending) or (shards.OLD_FILE in names and names != [path.name for path in listed]):
        kept, pending = keep([pair for pair in pairs if pair[0].is_full], len(files))
    source = np.full(len(files), -1)
    rows = np.flatnonzero(held >= 0)[::-1]  # reversed: of several shards the first counts
    source[held[rows]] = rows
    return Plan(kept, known, source, pending)


def drop_damaged(there: Sequence[Shard], parts: Sequence[Indices]) -> None:
    """Set the files of damaged rows to -1; every wanted row is read, as neither sizes nor times show a bad disk."""

    def find_damaged(number: int) -> list[int]:
        shard, files = there[number], parts[number]
        return [row for row in np.flatnonzero(files >= 0).tolist() if not shard.is_whole(row)]

    with progress(in_threads(find_damaged, range(len(there))), "Checking", len(there), noun="shards") as results:
        for shard, files, damaged in zip(there, parts, results, strict=True):
            if damaged:
                files[damaged] = -1
                names = ", ".join(shorten(shard.facts["path"].take(damaged).to_pylist()))
                log.warning("warning: %s: it is damaged (the samples of %s); they are decoded again", shard.path, names)


def keep(pairs: Iterable[tuple[Shard, Indices]], files: int) -> tuple[list[Shard], Indices]:
    """Return the shards with wanted rows alone, and the files that none of them holds.

    Args:
        pairs: Shards, each with the file of each of its rows, -1 where the row is not wanted.
        files: The number of files.
    """
    kept, taken = list[Shard](), np.zeros(files, bool)
    for shard, held in pairs:
        if len(held) and held.min() >= 0 and not taken[held].any():
            taken[held] = True
            kept.append(shard)
    return kept, np.flatnonzero(~taken)


def write_pending(
    root: Path, files: pa.Table, plan: Plan, data_dir: Path, engine: Engine
) -> tuple[dict[str, int], list[str]]:
    """Write the pending files into new shards; return the number of rows of each, and what is wrong with files."""

    def usable(results: Iterable[Row | str]) -> Iterator[Row]:
        for result in results:
            if isinstance(result, str):
                mistakes.append(result)
            else:
                yield result

    mistakes = list[str]()
    number = max([shards.number_of(path) + 1 for path in shards.list_shards(data_dir)], default=0)
    missing = plan.pending[plan.source[plan.pending] < 0]
    with open_engine(engine if len(missing) else Engine.local, DECODED_TOGETHER) as map_in_order:
        identities = (files.slice(file, 1).to_pylist()[0] for file in map(int, missing))
        clips = read_pending(plan, map_in_order(partial(decode, root.absolute()), identities))
        with progress(clips, "Decoding", len(files), len(files) - len(plan.pending), "recordings") as results:
            written = shards.write_shards(data_dir / shards.FOLDER, number, usable(results))
    return written, mistakes


def read_pending(plan: Plan, decoded: Iterator[Row | str]) -> Iterator[Row | str]:
    """Yield the row of each pending file, or what is wrong with it; `decoded` are those of the files in no shard."""
    for source in plan.source[plan.pending].tolist():
        if source < 0:
            yield next(decoded)
        else:
            shard, row = plan.known.locate(source)
            yield shard.read(row)


def decode(root: Path, identity: Row) -> Row | str:
    """Return the row of a file that is decoded, or what is wrong with it."""
    path = identity["path"]
    try:
        clip = audio.load(*locate(root, path))
    except UnreadableAudio as error:
        return f"{path}: {error}"
    except OSError as error:
        return f"{path}: {error.strerror}"
    crc32 = zlib.crc32(np.ascontiguousarray(clip.samples).data)
    return {**identity, **vars(clip), "decoder": DECODED_BY, "crc32": crc32}


def locate(root: Path, path: str) -> tuple[Path, tuple[float, float | None]]:
    """Return the file of a recording, and where it begins and ends in it."""
    file, span = split_fragment(path)
    return root / file, span


def remove_shards(data_dir: Path, kept: Iterable[Path], written: Iterable[str] = ()) -> None:
    """Remove the shards that are neither kept nor newly written."""
    stay = {*kept, *(data_dir / shards.FOLDER / name for name in written)}
    for path in [*shards.list_shards(data_dir), data_dir / shards.OLD_FILE]:
        if path not in stay:
            with suppress(PermissionError):  # of Windows, where a process that trains maps it; the next one removes it
                path.unlink(missing_ok=True)
