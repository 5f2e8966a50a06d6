"""Several processes that train one model together.

torchrun, `accelerate launch` or srun start them and set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. The first
process (rank 0) decides and writes, as a single process would. The others wait for its orders and train with it. Orders
are JSON in the key-value store of the rendezvous; gradients and logits go through the process group of PyTorch.
"""

import atexit
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ser.errors import FailedElsewhereError, UserError, explain, is_explained

if TYPE_CHECKING:
    import numpy.typing as npt

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
POLL = 0.05
"""Seconds between two looks for an order: a signal interrupts the wait, which it cannot in a blocking call."""
PATIENCE = 5.0
"""Seconds for the store to answer a process that is about to end."""
RUN, DONE, FAILED = "run", "done", "failed"

Order = dict[str, Any]


def count_started() -> int:
    """Return how many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1) if "RANK" in os.environ else 1


@dataclass
class Group:
    """The processes of a training, seen from one of them."""

    rank: int = 0
    size: int = 1
    store: Any = None
    """The `torch.distributed.Store` of the rendezvous; None for a single process."""
    timeout: float = 0
    """The seconds after which a process that does not answer counts as lost."""
    sent: int = 0
    """The number of orders so far, the same in every process."""

    def send(self, kind: str, **content: Any) -> None:
        """Send an order to all other processes."""
        if self.store is not None:
            self.store.set(f"order/{self.sent}", json.dumps({"kind": kind, **content}))
            self.sent += 1

    def receive(self) -> Order:
        """Wait for the next order of the first process."""
        order = dict(json.loads(self._wait(f"order/{self.sent}")))
        self.sent += 1
        if order["kind"] != RUN:
            self.report_ready()
        return order

    def report_ready(self, failure: str = "") -> None:
        """Tell the first process that this one can begin the run of the last order, or why it cannot."""
        self.store.set(f"ready/{self.sent}/{self.rank}", failure)

    def wait_until_ready(self) -> None:
        """Wait until every other process has answered the last order.

        Raises:
            UserError: the failure of one of them, or it does not answer in time.
        """
        for rank in range(1, self.size):
            if failure := self._wait(f"ready/{self.sent}/{rank}", self.timeout):
                raise UserError(failure)

    def is_first_to_fail(self) -> bool:
        """Return whether no other process has failed in this training: one line is enough for all."""
        if self.store is None:
            return True
        # Without an answer nobody else has printed anything that this host shows.
        return answer_in_time(lambda: self.store.add(f"failed/{self.sent}", 1)) in (1, None)

    def _wait(self, key: str, timeout: float = math.inf) -> str:
        end = time.monotonic() + timeout
        while not self.store.check([key]):
            if time.monotonic() > end:
                raise UserError(f"another process did not answer in {timeout:.0f} s; see its output")
            time.sleep(POLL)
        return str(self.store.get(key).decode())

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Let the other processes end, or take the next job of a sweep, when this one is done or has failed."""
        try:
            yield
        except Exception as error:
            first = self.is_first_to_fail()
            answer_in_time(lambda: self._end(FAILED))
            if not first:
                raise FailedElsewhereError("another process has printed the reason") from error
            raise
        except BaseException:
            answer_in_time(lambda: self._end(FAILED))
            raise
        answer_in_time(lambda: self._end(DONE))

    def _end(self, kind: str) -> None:
        """Send the last order, and wait until all have it: the store may end with this process."""
        self.send(kind)
        self.wait_until_ready()


def answer_in_time(call: Callable[[], Any]) -> Any:
    """Return the answer of the store; None where its host cannot be reached: a call would wait for hours."""
    answers: list[Any] = []

    def ask() -> None:
        with suppress(RuntimeError):  # the store has ended with its process
            answers.append(call())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answers[0] if answers else None


ALONE = Group()
_current = ALONE


def current() -> Group:
    """Return the processes that train together."""
    return _current


def join(timeout: float) -> Group:
    """Join the other processes that the launcher started; once in the life of a process.

    Args:
        timeout: The seconds after which a process that does not answer counts as lost.

    Raises:
        UserError: the launcher did not set what describes the processes, or one of them cannot be reached.
    """
    global _current
    if (size := count_started()) == 1 or _current.size > 1:
        return _current
    if missing := [name for name in VARIABLES if not os.environ.get(name)]:
        raise UserError(f"WORLD_SIZE={size}: {', '.join(missing)} not set; start `ser train` with torchrun or srun")
    import torch
    from torch import distributed
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    if cuda := torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    wait = timedelta(seconds=timeout)
    try:
        store, rank, size = next(rendezvous("env://", timeout=wait))
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        distributed.init_process_group(
            backend, store=PrefixStore("gradients", store), rank=rank, world_size=size, timeout=wait
        )
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(f"{address}: the {size} processes do not find one another ({explain(error)})") from error
    _current = Group(rank, size, PrefixStore("ser", store), timeout)
    atexit.register(distributed.destroy_process_group)
    return _current


def count_joined() -> int:
    """Return how many processes train together."""
    from torch import distributed

    joined = distributed.is_available() and distributed.is_initialized()
    return int(distributed.get_world_size()) if joined else 1


def wait_for_all() -> None:
    """Return when every process has called this."""
    if count_joined() > 1:
        from torch import distributed

        distributed.barrier()


def any_of(flag: bool) -> bool:
    """Return whether the flag is set in any process; every process calls this at the same point."""
    return bool(sum_of([float(flag)])[0])


def sum_of(values: list[float]) -> list[float]:
    """Return the sums of values over all processes; every process calls this at the same point."""
    if count_joined() == 1:
        return values
    import torch
    from torch import distributed

    total = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(total)
    return [float(value) for value in total]


def gather_rows(rows: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Return the rows `(N, ...)` of all processes, those of rank 0 first; their numbers may differ."""
    if count_joined() == 1:
        return rows
    import numpy as np
    import torch
    from torch import distributed

    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(count_joined())]
    distributed.all_gather(counts, torch.tensor([len(rows)]))
    longest = max(int(count) for count in counts)
    padded = torch.zeros((longest, *rows.shape[1:]), dtype=torch.from_numpy(rows[:0]).dtype)
    padded[: len(rows)] = torch.from_numpy(rows)
    received = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(received, padded)
    return np.concatenate([part[: int(count)].numpy() for part, count in zip(received, counts, strict=True)])


LOST = ("Connection closed by peer", "Connection reset by peer", "Timed out waiting", "Broken pipe", "NCCL")
"""What PyTorch says where another process does not answer."""


@contextmanager
def explain_lost_process(advice: str) -> Iterator[None]:
    """Turn the error of a lost connection into one line.

    Args:
        advice: What to do then.

    Raises:
        UserError: Another process of this training has ended or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if count_joined() == 1 or not any(words in str(error) for words in LOST):
            raise
        raise UserError(f"another process of this training has ended or cannot be reached; {advice}") from error


def describe_failure(error: Exception, rank: int) -> str:
    """Return the line of an error in another process than the first."""
    kind = "" if is_explained(error) else f"{type(error).__name__}: "
    return f"process {rank} on {socket.gethostname()}: {kind}{explain(error)}"
