"""Who may ask and who waits: one answer is computed at a time, a few wait for it, the others are told to come back."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import TypeVar

Made = TypeVar("Made")


class Refused(Exception):
    """A request that is not answered; the message says why in one line."""

    def __init__(self, status: int, reason: str, wait: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = {} if wait is None else {"Retry-After": str(wait)}


class Turns:
    """A queue of bounded length in front of one thread: torch spreads a single answer over the cores by itself."""

    def __init__(self, queue: int) -> None:
        self.places = queue + 1
        self.taken = 0
        self.seconds = 1.0
        """What the last answer took."""
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answers")

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, taken before a file is read, so that no more of them are in memory than may wait.

        Raises:
            Refused: there is none.
        """
        if self.taken >= self.places:
            wait = max(1, ceil(self.taken * self.seconds))
            raise Refused(503, f"{self.taken} requests are waiting: ask again in {wait} s", wait)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, work: Callable[[], Made]) -> Made:
        """Do the work when it is its turn; whoever holds no `place` must not ask."""

        def timed() -> Made:
            begun = monotonic()
            try:
                return work()
            finally:
                self.seconds = monotonic() - begun

        return await asyncio.get_running_loop().run_in_executor(self.worker, timed)

    def close(self) -> None:
        """Drop what waits; what is being answered ends by itself."""
        self.worker.shutdown(wait=False, cancel_futures=True)
