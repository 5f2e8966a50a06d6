"""One thread a core for what lets go of the interpreter's lock."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], at_once: int = 256) -> Iterator[Result]:
    """Map in order with one thread a core; libsndfile, soxr and hashlib all release the interpreter's lock.

    Works in blocks of `at_once` items, so that only so many decoded clips are in memory at a time.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(max_workers=cores())
    try:
        while block := list(islice(remaining, at_once)):
            yield from pool.map(function, block)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the block


def count_threads() -> int:
    """Return the threads of PyTorch where it is loaded, else the cores of this process."""
    torch = sys.modules.get("torch")
    return cores() if torch is None else int(torch.get_num_threads())


def use_threads(count: int) -> None:
    """Set the threads of PyTorch where it is loaded."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


def cores() -> int:
    """Count the cores that this process may use: a job on a cluster has only some of its machine."""
    affinity = getattr(os, "sched_getaffinity", None)  # of Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1
