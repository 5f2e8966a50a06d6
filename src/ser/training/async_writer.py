"""A thread that writes checkpoints while training continues."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import torch

log = logging.getLogger("ser")


class AsyncWriter:
    """Runs one job at a time in a thread; `wait` re-raises the exception of a job.

    The exit of its context waits for the job, also after an exception or Ctrl-C. A killed process leaves its job
    unfinished.
    """

    def __init__(self) -> None:
        # The interpreter waits for threads of a pool at exit, unlike daemon threads.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._running: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Start a job after the previous one is done."""
        self.wait()
        self._running = self._pool.submit(work)

    def wait(self) -> None:
        """Wait for the job; raise its exception once."""
        if self._running is not None:
            wait([self._running])  # after a Ctrl-C here the job can still be waited for
            running, self._running = self._running, None
            running.result()

    def __enter__(self) -> "AsyncWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.wait()
        elif self._running is not None and (failure := self._running.exception()):
            # The exception that ended training is being raised; this one would hide it.
            log.error("the last checkpoint was not written: %s", failure)


def snapshot(state: Any) -> Any:
    """Copy a state dict to the memory of the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: snapshot(value) for key, value in state.items()}
    return [snapshot(value) for value in state] if isinstance(state, list) else state
