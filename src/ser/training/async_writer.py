"""Writing while training goes on."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import torch

log = logging.getLogger("ser")


class AsyncWriter:
    """A thread that does one thing at a time, and fails where somebody hears it.

    As a context manager it is left only when everything is done, also where an exception or Ctrl-C leaves it. A process
    that is killed leaves what it was at unfinished.
    """

    def __init__(self) -> None:
        # Threads of a pool, unlike daemons, are waited for even by an interpreter that ends otherwise.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._running: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Have something done as soon as what was given before is done."""
        self.wait()
        self._running = self._pool.submit(work)

    def wait(self) -> None:
        """Return when nothing is left to do; raise what stopped the work, once."""
        if self._running is not None:
            wait([self._running])  # Ctrl-C may strike here: it is still to be waited for
            running, self._running = self._running, None
            running.result()

    def __enter__(self) -> "AsyncWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.wait()
        elif self._running is not None and (failure := self._running.exception()):
            # What ended training is raised already; this one would hide it.
            log.error("the last checkpoint was not written: %s", failure)


def snapshot(state: Any) -> Any:
    """A state dict as it is now, in the memory of the CPU, whatever becomes of its tensors."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: snapshot(value) for key, value in state.items()}
    return [snapshot(value) for value in state] if isinstance(state, list) else state
