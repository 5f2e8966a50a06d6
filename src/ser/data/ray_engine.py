"""Ray Data as a `map` in order, over the cluster of `RAY_ADDRESS` or one that is started on this machine.

A function and its items are sent to the workers, which need the same `ser`, and see the same files: paths are absolute.
"""

import logging
import os
import pickle
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from ser.data.parallel import cores
from ser.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

TASKS_AT_ONCE = 256
"""Tasks whose items, and results that are not yet taken, exist at a time; the next ones begin when these are done."""
BLOCK_BYTES = 2**22
"""Size of results that Ray Data expects of a task."""
OBJECT_STORE = 2**30
"""Bytes of shared memory, at most, of a cluster that is started here."""
PATIENCE = 10.0
"""Seconds for a thread that ends, and for a cluster to answer."""
THREADS = ("StreamingExecutor", "ray-data-")
"""Names of the threads in which Ray Data calls Ray, at their start."""
QUIET = ("ray", "ray.data")


def import_ray() -> Any:
    """Import Ray, an extra, with the settings that it reads then; return the module."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    if "ray" not in sys.modules and os.environ.get("RAY_ADDRESS", "local") in ("", "local"):
        # By default it listens on every network, and whoever reaches it runs code.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback alone, as on Windows and macOS
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # keeps out other users of this machine
    import ray
    import ray.data

    return ray


@contextmanager
def connected() -> Iterator[None]:
    """Connect to the cluster, and disconnect at the end; a cluster that was started here ends with that.

    Raises:
        UserError: There is no cluster at `RAY_ADDRESS`.
    """
    ray = import_ray()
    if ray.is_initialized():  # by the program that calls ser
        yield
        return
    address = os.environ.get("RAY_ADDRESS") or "local"
    check_answers(address)
    options = {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    with keeping_signal_handler():
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options if address == "local" else {})
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = "engine=ray" if address == "local" else f"RAY_ADDRESS={address}"
            raise UserError(f"{where}: {str(error).splitlines()[0]}") from error
        finally:
            for name in QUIET:
                logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        join_threads()
        ray.shutdown()


def check_answers(address: str) -> None:
    """Raise a UserError where nothing listens at an address; Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:  # local, auto
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise UserError(f"RAY_ADDRESS={address}: no Ray cluster is there ({reason})") from error


def join_threads() -> None:
    """Wait for the threads of Ray Data, which were told to end; Ray aborts a process that calls it after its end."""
    for thread in threading.enumerate():
        if thread.name.startswith(THREADS):
            thread.join(PATIENCE)


@contextmanager
def keeping_signal_handler() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces by one that ends the process without a message."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], per_task: int, threads: int | None
) -> Generator[Result, None, None]:
    """Map a function that can be pickled; what a lost worker computed is computed again by another one.

    The tasks are those of Ray Data rather than its actors: an actor of a lost node waits for a place of its own, which
    a smaller cluster may not have.

    Raises:
        UserError: The function raised it, or an OSError.
    """
    ray = import_ray()
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = BLOCK_BYTES
    context.op_resource_reservation_enabled = False  # it keeps a core back, of two half of the machine (Ray 2.60)
    resources = {"num_cpus": 1} if threads is None else find_resources(threads)
    remaining = iter(items)
    # Ray Data has its input in memory as a whole: a million items are several inputs.
    while tables := list(islice(make_tables(remaining, per_task), TASKS_AT_ONCE)):
        data = ray.data.from_arrow(tables)
        data = data.map_batches(partial(compute, function), batch_size=None, batch_format="pyarrow", **resources)
        with closing(take_tables(data)) as computed:
            for table in computed:
                for results in table["pickled"].to_pylist():
                    yield from open_results(results)


def take_tables(data: Any) -> Generator[pa.Table, None, None]:
    """Yield the results of Ray Data in order; its scheduler has been told to end where the generator is closed.

    `iter_batches` takes them in threads that outlive it for a moment and own the scheduler, which would end in one of
    them: by calls of a Ray that may have been shut down.
    """
    ray = import_ray()
    for bundle in data.iter_internal_ref_bundles():  # nothing else refers to it, and with it the scheduler ends
        yield from ray.get(bundle.block_refs)


def find_resources(threads: int) -> dict[str, int]:
    """Return what a task that computes asks for; it sees no GPU that it does not ask for."""
    nodes = [node["Resources"] for node in import_ray().nodes() if node["Alive"]]
    cores_of_largest = max(int(node.get("CPU", 0)) for node in nodes)
    return {"num_cpus": max(1, min(threads, cores_of_largest))} | (
        {"num_gpus": 1} if any(node.get("GPU") for node in nodes) else {}
    )


def make_tables(items: Iterator[Item], per_task: int) -> Iterator[pa.Table]:
    """Yield the input of each task: a row with its items."""
    while some := list(islice(items, per_task)):
        yield to_table(some)


def to_table(content: Any) -> pa.Table:
    return pa.table({"pickled": pa.array([pickle.dumps(content)], pa.large_binary())})


def compute(function: Callable[[Any], Any], table: pa.Table) -> pa.Table:
    """Compute the results of a task, on a worker."""
    # What is unpickled here and in `open_results` comes from this process and its workers, as all that Ray sends.
    (items,) = (pickle.loads(row) for row in table["pickled"].to_pylist())
    try:
        return to_table([function(item) for item in items])
    except (UserError, OSError) as error:
        return to_table(error)


def open_results(pickled: bytes) -> list[Any]:
    """Return the results of a task; raise the error that ended it."""
    results: list[Any] | Exception = pickle.loads(pickled)
    if isinstance(results, Exception):
        raise results
    return results
