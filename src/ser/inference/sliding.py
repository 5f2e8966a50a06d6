"""Answer a long recording, or one that is still going on, window by window."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from ser.data.audio import Int16, oddity
from ser.inference.predictions import Answer
from ser.inference.predictor import Predictor, Said
from ser.inference.windows import windows

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
            yield Answer(name, *stretch.seconds, said, warning=oddity(stretch.samples))


def mean(answers: Sequence[Answer], labels: Sequence[str]) -> Said:
    """What is said of a recording on the whole: the mean over its windows."""
    all_said = [answer.said for answer in answers if answer.said is not None]
    shares = np.mean([said.shares for said in all_said], axis=0)
    members = [np.mean(each, axis=0) for each in zip(*(said.members for said in all_said), strict=True)]
    return Said(labels[int(shares.argmax())], shares, members)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
