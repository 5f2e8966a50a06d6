"""The memory that recordings take: one budget for every body, upload and answer.

A body is read into pages of its own (`reserved`), outside the heap. There, a block that grows as it is read is moved
again and again, and leaves holes that the system does not get back: half as much again as the recordings themselves.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap

from ser.serving.responses import Refused

RETRY = 5
"""Seconds after which a client may ask again."""


def reserved(megabytes: float) -> mmap:
    """Room to write to. Only the pages that have been written take memory, and the system has them back at once.

    Raises:
        Refused: the system has no room.
    """
    try:
        return mmap(-1, math.ceil(megabytes * 1e6))
    except OSError as error:
        raise Refused(503, f"there is no memory for {megabytes:g} MB: ask again in {RETRY} s", RETRY) from error


def written(room: mmap) -> memoryview:
    """What was written to reserved room; it is not copied."""
    return memoryview(room)[: room.tell()].toreadonly()


class MemoryBudget:
    """Counts the bytes that clients keep in memory.

    Where there is no room, whoever has been silent the longest gives way: a sender that stalls, or an upload that
    nobody asks about. A recording that waits for its prediction never does.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.evictable: OrderedDict[Holding, None] = OrderedDict()
        """From the one that has been silent the longest to the latest."""

    @contextmanager
    def holding(self, evict: Callable[[], None]) -> Iterator["Holding"]:
        """A part of the budget that is given back at the end."""
        held = Holding(self, evict)
        try:
            yield held
        finally:
            held.release()

    def make_room(self, size: int, asking: "Holding") -> None:
        """Evict until `size` more bytes fit.

        Raises:
            Refused: what is left may not be evicted.
        """
        while self.used + size > self.limit:
            victim = next((held for held in self.evictable if held is not asking), None)
            if victim is None:
                raise Refused(503, f"the memory for recordings is full: ask again in {RETRY} s", RETRY)
            victim.release()
            victim.evict()


class Holding:
    """The bytes of one request or upload."""

    def __init__(self, budget: MemoryBudget, evict: Callable[[], None]) -> None:
        self.budget = budget
        self.evict = evict
        """Called where it gives way; its bytes no longer count then."""
        self.size = 0
        budget.evictable[self] = None

    def add(self, size: int) -> None:
        """Count more bytes.

        Raises:
            Refused: there is no room for them.
        """
        self.budget.make_room(size, self)
        self.size += size
        self.budget.used += size
        if self in self.budget.evictable:
            self.budget.evictable.move_to_end(self)

    def resize(self, size: int) -> None:
        """Count this many bytes from now on.

        Raises:
            Refused: there is no room for them.
        """
        self.budget.used -= self.size
        self.size = 0
        self.add(size)

    def pin(self) -> None:
        """Keep it: the server is at work on it."""
        self.budget.evictable.pop(self, None)

    def unpin(self) -> None:
        self.budget.evictable[self] = None

    def release(self) -> None:
        """Give the bytes back."""
        self.pin()
        self.budget.used -= self.size
        self.size = 0
