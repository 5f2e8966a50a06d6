"""The engines that map a function over items in order: threads of this process, or Ray Data over a cluster."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Protocol, TypeVar

from ser.config import Engine
from ser.data.parallel import in_threads
from ser.extras import check_installed

Item = TypeVar("Item")
Result = TypeVar("Result")


class MapInOrder(Protocol):
    """A parallel `map` with the results in the order of the items."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]: ...


@contextmanager
def open_engine(engine: Engine, per_task: int, threads: int | None = None) -> Iterator[MapInOrder]:
    """Yield the map of an engine; a cluster that this process started is shut down at the end.

    Args:
        engine: The engine.
        per_task: Items that Ray sends to a worker at a time.
        threads: With Ray, the cores of a task that computes with PyTorch, on a GPU where the cluster has some.

    Raises:
        UserError: Ray is not installed, or there is no cluster at `RAY_ADDRESS`.
    """
    if engine is Engine.local:
        yield in_threads
        return
    check_installed("ray", "ray", needed_by="engine=ray")
    # Imported here because Ray is an extra.
    from ser.data.ray_engine import connected, map_in_order

    with connected(), ExitStack() as stack:

        def by_ray(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
            # Closed before Ray is, also where an error keeps the frames that hold it.
            return stack.enter_context(closing(map_in_order(function, items, per_task, threads)))

        yield by_ray
