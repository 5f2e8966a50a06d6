"""Answer a long recording, or one that is still going on, window by window."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from ser.data.audio import Int16
from ser.data.windows import windows
from ser.inference.answers import Answer
from ser.inference.predictor import Predictor

Item = TypeVar("Item")


def slide(
    name: str, blocks: Iterable[Int16], window: float, hop: float, predictor: Predictor, at_once: int
) -> Iterator[Answer]:
    """Answer the windows of a recording, `at_once` of them together; 1 answers each as soon as it is there.

    Args:
        name: what the recording is called in the answers.
        blocks: its samples at 16 kHz, in pieces of any size.
        window: seconds.
        hop: seconds from the begin of one window to that of the next.
        predictor: answers.
        at_once: windows.
    """
    for some in chunks(windows(blocks, window, hop), at_once):
        answers = predictor.answers([window.samples for window in some])
        for stretch, said in zip(some, answers.each(), strict=True):
            yield Answer(name, *stretch.seconds, said)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
