"""Request queue: one prediction is computed at a time, a few requests wait, and further ones are refused."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from threading import Event
from time import monotonic
from typing import TypeVar

from ser.serving.responses import Refused

Result = TypeVar("Result")


class RequestQueue:
    """A bounded queue in front of one thread; PyTorch itself uses all cores for a single prediction."""

    def __init__(self, queue: int) -> None:
        self.slots = queue + 1
        self.taken = 0
        self.seconds = 1.0
        """Duration of the last prediction."""
        self.stopping = Event()
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predictions")
        self.loading: Future[None] | None = None

    def load(self, work: Callable[[], None], failed: Callable[[], None]) -> None:
        """Run the work before every prediction; requests wait for it in the queue.

        Args:
            work: Loads what predictions need.
            failed: Called where the work fails; from then on requests are refused.
        """

        def ended(loading: Future[None]) -> None:
            if not loading.cancelled() and loading.exception() is not None:
                self.stopping.set()
                failed()

        self.loading = self.worker.submit(work)
        self.loading.add_done_callback(ended)

    @property
    def is_loaded(self) -> bool:
        """Whether what `load` loads is there; not where it failed."""
        loading = self.loading
        return loading is not None and loading.done() and not loading.cancelled() and loading.exception() is None

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Take a slot, after the recording has arrived, so that a slow sender does not block other requests.

        Raises:
            Refused: No slot is free.
        """
        if self.taken >= self.slots:
            wait = max(1, ceil(self.taken * self.seconds))
            raise Refused(503, f"{self.taken} requests are waiting: ask again in {wait} s", wait)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def submit(self, work: Callable[[], Result]) -> Result:
        """Run the work after the earlier work in the queue; the caller must hold a slot."""

        def timed() -> Result:
            if self.stopping.is_set():
                raise Refused(503, "the server is stopping")
            begun = monotonic()
            try:
                return work()
            finally:
                self.seconds = monotonic() - begun

        return await asyncio.get_running_loop().run_in_executor(self.worker, timed)

    def close(self) -> None:
        """Cancel the waiting work, stop the running work after its current batch, and raise the error of `load`."""
        self.stopping.set()
        self.worker.shutdown(wait=False, cancel_futures=True)
        if self.loading is not None and self.loading.done():
            self.loading.result()
