"""One thread a core for what lets go of the interpreter's lock."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SIDE_BY_SIDE = 4
"""Batches at most: one of 8 clips of 4 s takes some 200 MB in the CNN of a base encoder."""


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], at_once: int = 256, threads: int = 0
) -> Iterator[Result]:
    """Map in order with threads; libsndfile, soxr, hashlib, PyTorch and onnxruntime release the interpreter's lock.

    Args:
        function: The function.
        items: Its arguments.
        at_once: The items of a block: only so many decoded clips are in memory at a time.
        threads: The number of threads; 0: one a core.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(max_workers=threads or cores())
    try:
        while block := list(islice(remaining, at_once)):
            yield from pool.map(function, block)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the block


def count_threads() -> int:
    """Return the threads of PyTorch where it is loaded, else what `OMP_NUM_THREADS` says, else the cores."""
    if (torch := sys.modules.get("torch")) is not None:
        return int(torch.get_num_threads())
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else cores()


def count_side_by_side() -> int:
    """Return how many batches a CPU scores side by side: one a thread, and few enough for the memory of any machine."""
    return min(count_threads(), SIDE_BY_SIDE)


def use_threads(count: int) -> None:
    """Set the threads of PyTorch where it is loaded."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


@contextmanager
def sharing_threads(workers: int) -> Iterator[None]:
    """Divide the threads of PyTorch among threads that compute side by side and are started inside."""
    before = count_threads()
    use_threads(max(1, before // workers))
    try:
        yield
    finally:
        use_threads(before)


def map_side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, at_once: int = 0
) -> list[Result]:
    """Return the results in order, of so many threads with the threads of PyTorch shared out among them.

    Args:
        function: The function. A single worker, or a single item, is computed in this thread with all of them.
        items: Its arguments.
        workers: The number of threads, at most; there are no more of them than items.
        at_once: The items of a block, as of `in_threads`; 0: eight a thread.
    """
    remaining = iter(items)
    first = list(islice(remaining, workers))
    if len(first) < 2:
        return list(map(function, chain(first, remaining)))
    with sharing_threads(len(first)):
        return list(in_threads(function, chain(first, remaining), at_once or 8 * len(first), len(first)))


def cores() -> int:
    """Count the cores that this process may use: a job on a cluster has only some of its machine."""
    affinity = getattr(os, "sched_getaffinity", None)  # of Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1
