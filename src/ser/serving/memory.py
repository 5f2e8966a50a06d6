"""The memory of recordings: one budget for all request bodies, uploads and responses.

A body is read into memory pages of its own (`reserved`) instead of the heap. On the heap, a block that grows during
reading is moved many times, and its holes, half the size of the recordings, are not returned to the system.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap

from ser.serving.responses import Refused

RETRY = 5
"""Seconds after which a client may try again."""


def reserved(megabytes: float) -> mmap:
    """Reserve memory pages to write to; only written pages use memory, and they are returned to the system at once.

    Raises:
        Refused: The system has not enough memory.
    """
    try:
        return mmap(-1, math.ceil(megabytes * 1e6))
    except OSError as error:
        raise Refused(503, f"there is no memory for {megabytes:g} MB: ask again in {RETRY} s", RETRY) from error


def written(room: mmap) -> memoryview:
    """Return the bytes written to reserved pages, without a copy."""
    return memoryview(room)[: room.tell()].toreadonly()


class MemoryBudget:
    """Counts the bytes of clients in memory.

    When the budget is full, the holding without activity for the longest time is evicted: a stalled sender, or an
    unused upload. A recording that waits for its prediction is never evicted.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.evictable: OrderedDict[Holding, None] = OrderedDict()
        """Ordered by the last activity, oldest first."""

    @contextmanager
    def holding(self, evict: Callable[[], None]) -> Iterator["Holding"]:
        """Yield a holding of this budget, and release it at the end."""
        held = Holding(self, evict)
        try:
            yield held
        finally:
            held.release()

    def make_room(self, size: int, asking: "Holding") -> None:
        """Evict until `size` more bytes fit.

        Raises:
            Refused: The remaining holdings may not be evicted.
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
        """Called on eviction, when its bytes are no longer counted."""
        self.size = 0
        budget.evictable[self] = None

    def add(self, size: int) -> None:
        """Add bytes to the count.

        Raises:
            Refused: They do not fit into the budget.
        """
        self.budget.make_room(size, self)
        self.size += size
        self.budget.used += size
        if self in self.budget.evictable:
            self.budget.evictable.move_to_end(self)

    def resize(self, size: int) -> None:
        """Set the count to `size` bytes.

        Raises:
            Refused: They do not fit into the budget.
        """
        self.budget.used -= self.size
        self.size = 0
        self.add(size)

    def pin(self) -> None:
        """Protect it from eviction while the server uses it."""
        self.budget.evictable.pop(self, None)

    def unpin(self) -> None:
        self.budget.evictable[self] = None

    def release(self) -> None:
        """Return the bytes to the budget."""
        self.pin()
        self.budget.used -= self.size
        self.size = 0
