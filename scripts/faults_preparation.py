"""Preparations that are killed at random moments, each up to five times, and go on."""

import hashlib
import re
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import large_corpus
import pyarrow.compute as pc
from faults_ground import Ground, Part, Running, compare, ser, tidy
from faults_signals import stop

from ser.data.arrow_cache import open_cache
from ser.data.shards import FOLDER, INDEX, Shard, list_shards
from ser.errors import UserError

SHARDS = 10
ROWS = 1000 * SHARDS
"""Of the corpus."""
A_SHARD = 0.5
"""Seconds, about, in which one is written."""


def preparation(ground: Ground, count: int) -> Part:
    """Kill `ser prepare-data`: what it gives at last is what an undisturbed one gives, and no shard is made twice."""
    part, sent = Part("preparation, SIGKILL"), 0
    corpus = ground.folder / "large"
    if not corpus.exists():
        large_corpus.write_brief(ROWS, corpus)
    words = ("prepare-data", "corpus=table", f"corpus.table='{corpus}/corpus.csv'", "protocol=random", "data_dir=data")
    place = ground.place(prepared=False)
    ended = ser(place, *words)
    tidy(part, ended, "undisturbed")
    part.check(ended.code == 0, f"undisturbed: status {ended.code} ({ended.last})")
    expected = prepared(place / "data")
    shutil.rmtree(place)
    while sent < count:
        times = min(count - sent, ground.random.choice((1, 2, 3, 5)))
        sent += one_preparation(ground, part, words, times, expected)
        print(f"  {part.name}: {sent} of {count}", flush=True)
    return part


def one_preparation(ground: Ground, part: Part, words: tuple[str, ...], times: int, expected: dict[str, str]) -> int:
    """Kill a preparation, let it go on, and compare; return how many kills met it while it ran."""
    place, what, sent, finished = ground.place(prepared=False), "preparation", 0, 0
    data = place / "data"
    for _ in range(times):
        wanted, delay = ground.random.randrange(SHARDS + 1), ground.random.uniform(0, A_SHARD)
        running = Running(place, *words)
        while len(list_shards(data)) < wanted and not (data / FOLDER / INDEX).exists() and running.wait(0.01) is None:
            pass
        if not stop(part, running, delay, signal.SIGKILL, what):
            break
        sent += 1
        part.count(where := phase(data))
        what += f", SIGKILL {delay:.2f} s after {wanted} shards ({where})"
        before, finished = finished, sum(len(Shard(path)) for path in list_shards(data))
        part.check(finished >= before, f"{what}: finished shards were lost")
    last = ser(place, *words)
    tidy(part, last, f"{what}, again")
    if part.check(last.code == 0, f"{what}, again: status {last.code} ({last.last})"):
        compare(part, expected, prepared(data), f"{what}, again")
        decoded = re.search(r"(\d+) decoded, ", last.output)
        number = int(decoded[1]) if decoded else -1
        part.check(number == ROWS - finished, f"{what}: {number} decoded, where {finished} of {ROWS} were finished")
    shutil.rmtree(place)
    return sent


def phase(data: Path) -> str:
    """What a preparation was at when it ended, as far as its folder tells."""
    if (data / "manifest.csv").is_file():
        return "the end"
    if (data / FOLDER / INDEX).is_file():
        return "audit"
    shards = len(list_shards(data))
    return f"{shards} shards" if shards else "start-up or the first shard"


def prepared(data: Path) -> dict[str, str]:
    """What must be the same of two preparations, each by its SHA-256: files, and the content of the cache by path."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in data.iterdir() if path.is_file()}
    found |= {path.name: "left behind" for path in data.rglob(".*")}
    with suppress(UserError):
        cache = open_cache(data)
        content = hashlib.sha256()
        for index in pc.sort_indices(cache.facts["path"]).to_pylist():
            content.update(repr(cache.facts.slice(index, 1).to_pylist()).encode())
            content.update(cache.samples(index).tobytes())
        found["the cache"] = content.hexdigest()
    return found
