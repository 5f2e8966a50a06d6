"""Measure `ser adapt` on the tested speakers of runs: adapted to some of a speaker's clips, scored on the others.

python scripts/voices.py runs/ravdess-emobox-moonshine_tiny-seed0/fold*       several runs are pooled

A checkpoint is adapted to one tested speaker at a time: to 1 and 3 clips of each emotion with their labels, and to the
same clips without labels. The clips are drawn anew in each repetition. Each row is scored on the speaker's
other clips.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
from tested_clips import describe_recall, open_tested

from ser import console, ending
from ser.inference.adaptation import pool, read_head
from ser.models.adaptation import (
    LABELLED_STRENGTH,
    UNLABELLED_STRENGTH,
    LinearHead,
    fit_labelled,
    match_prior,
)


@dataclass(frozen=True)
class Speaker:
    """The clips of a tested speaker, as the last layer of a checkpoint gets them."""

    name: str
    head: LinearHead
    pooled: Any
    """`(clips, width)`."""
    labels: Any
    """Class indices `(clips,)`."""


@dataclass
class Row:
    """The predictions of all speakers in all repetitions, before and after an adaptation."""

    truth: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("runs", nargs="+", help="folders of finished runs, each with its checkpoint")
    parser.add_argument("--data-dir", help="of the prepared corpus, where it is another than the runs name")
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 3], help="of each emotion")
    parser.add_argument("--repetitions", type=int, default=10)
    args = parser.parse_args(words)
    console.quiet_transformers()
    started = time.monotonic()
    speakers, emotions = [], []
    for run in args.runs:
        found, emotions = read_speakers(Path(run), args.data_dir)
        speakers += found
    rows = [
        [f"{per} of each emotion", kind, *describe(measure(speakers, per, kind, args.repetitions), len(emotions))]
        for per in args.clips
        for kind in ("labelled", "unlabelled")
    ]
    print(tabulate(rows, ["clips of the speaker", "labels", "UAR before", "UAR after", "better, worse"], "github"))
    print(f"{len(speakers)} speakers, {args.repetitions} draws each; {time.monotonic() - started:.0f} s")


def read_speakers(run: Path, data_dir: str | None) -> tuple[list[Speaker], Sequence[str]]:
    """Embed the clips of the tested speakers of a run."""
    member, rows, clips = open_tested(run, data_dir)
    head, found = read_head(member), []
    labels = np.array([member.labels.index(row.emotion) for row in rows])
    for name in rows.distinct("speaker"):
        own = np.flatnonzero(rows.matches("speaker", [name]))
        found.append(Speaker(name, head, pool(member, [clips[place] for place in own], 16), labels[own]))
    return found, member.labels


def measure(speakers: Sequence[Speaker], per: int, kind: str, repetitions: int) -> Row:
    """Adapt to `per` clips of each emotion of each speaker, and predict the others."""
    row = Row()
    for seed in range(repetitions):
        for speaker in speakers:
            chosen = np.zeros(len(speaker.labels), dtype=bool)
            chosen[list(draw(speaker, per, seed))] = True
            adapted = adapt(speaker, chosen, kind)
            row.truth += speaker.labels[~chosen].tolist()
            row.before += speaker.head.logits(speaker.pooled[~chosen]).argmax(axis=1).tolist()
            row.after += adapted.logits(speaker.pooled[~chosen]).argmax(axis=1).tolist()
            row.speakers += [speaker.name] * int((~chosen).sum())
    return row


def draw(speaker: Speaker, per: int, seed: int) -> Iterator[int]:
    """Draw clips of each emotion; the draw depends on the speaker and the repetition alone."""
    generator = np.random.default_rng([seed, *speaker.name.encode()])
    for emotion in np.unique(speaker.labels):
        yield from generator.permutation(np.flatnonzero(speaker.labels == emotion))[:per].tolist()


def adapt(speaker: Speaker, chosen: Any, kind: str) -> LinearHead:
    pooled, labels = speaker.pooled[chosen], speaker.labels[chosen]
    if kind == "labelled":
        return fit_labelled(speaker.head, pooled, labels, LABELLED_STRENGTH)
    emotions = len(speaker.head.bias)
    return match_prior(speaker.head, pooled, np.full(emotions, 1 / emotions), UNLABELLED_STRENGTH)


def describe(row: Row, emotions: int) -> list[str]:
    """Return the UAR before and after with 95 % intervals over speakers, and how many speakers gain and lose."""
    cells = [describe_recall(row.truth, predicted, emotions, row.speakers) for predicted in (row.before, row.after)]
    truth, before, after, names = map(np.array, (row.truth, row.before, row.after, row.speakers))
    gains = [np.sum((after == truth)[names == name]) - np.sum((before == truth)[names == name]) for name in set(names)]
    return [*cells, f"{sum(gain > 0 for gain in gains)}, {sum(gain < 0 for gain in gains)}"]


if __name__ == "__main__":
    with ending.in_one_line():
        main()
