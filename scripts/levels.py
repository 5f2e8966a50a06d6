"""Measure how the score of runs depends on the level of the recordings.

python scripts/levels.py runs/ravdess-leave_one_actor_out-moonshine_tiny-seed0/fold*       several runs are pooled

The tested clips are predicted at other levels: as float samples, rounded to 16 bits as in a file, and with next to
nothing in place of the constant that a group norm adds to the variance.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from ser import console, ending
from ser.data.dataset import Example, Samples, to_float
from ser.evaluation.intervals import measure_recall
from ser.inference.checkpoint_member import CheckpointMember
from ser.models import checkpoint
from ser.models.forward import compute_logits
from ser.models.hub import find_checkpoint
from ser.runs.trained_data import load_trained_data

WAYS = ("float samples", "16 bits", "16 bits, group norm + 1e-12")
NEXT_TO_NOTHING = 1e-12


@dataclass
class Pooled:
    """The clips of all runs, and their predictions by level and way."""

    truth: list[int] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    predictions: dict[tuple[float, str], list[int]] = field(default_factory=dict)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("runs", nargs="+", help="folders of finished runs, each with its checkpoint")
    parser.add_argument("--data-dir", help="of the prepared corpus, where it is another than the runs name")
    parser.add_argument("--decibels", type=float, nargs="+", default=[0, -10, -20, -30, 10, 20, 30])
    args = parser.parse_args(words)
    console.quiet_transformers()
    started, pooled, labels = time.monotonic(), Pooled(), 0
    for run in args.runs:
        labels = predict_levels(Path(run), args.data_dir, args.decibels, pooled)
    rows = [
        [f"{level:+g} dB" if level else "as recorded", *(score(pooled, (level, way), labels) for way in WAYS)]
        for level in args.decibels
    ]
    print(tabulate(rows, ["UAR", *WAYS], "github"))
    print(f"{len(pooled.truth)} clips, {len({*pooled.speakers})} speakers; {time.monotonic() - started:.0f} s")


def predict_levels(run: Path, data_dir: str | None, decibels: Sequence[float], pooled: Pooled) -> int:
    """Add the predictions of the tested clips of a run, and return the number of its labels."""
    folder = find_checkpoint(str(run))
    _, prepared, splits = load_trained_data(checkpoint.stamp_of(folder), folder, None, data_dir)
    member = CheckpointMember.from_checkpoint(str(run))
    clips = [prepared.audio.samples(place) for place in prepared.indices(splits.test).tolist()]
    spoken = [to_float(clip) for clip in member.cut_silence(clips)]
    pooled.truth += [member.labels.index(row.emotion) for row in splits.test]
    pooled.speakers += [row.speaker for row in splits.test]
    for level in decibels:
        scaled: list[Samples] = [clip * np.float32(10 ** (level / 20)) for clip in spoken]
        rounded: list[Samples] = [round_to_int16(clip) for clip in scaled]
        found = [predict(member, scaled), predict(member, rounded)]
        with adding_next_to_nothing(member.classifier):
            found.append(predict(member, rounded))
        for way, predicted in zip(WAYS, found, strict=True):
            pooled.predictions.setdefault((level, way), []).extend(predicted)
    return len(member.labels)


def round_to_int16(clip: Any) -> Any:
    """Return float samples as a file of 16 bits has them; louder than full scale they are clipped."""
    return np.clip(np.round(clip * 32768), -32768, 32767).astype(np.int16)


def predict(member: CheckpointMember, clips: Sequence[Samples]) -> list[int]:
    """Return the index of the predicted emotion of each clip, computed by itself."""
    batches = (member.collator([Example(samples=clip, label=0, clip=0)]) for clip in clips)
    predicted: list[int] = compute_logits(member.classifier, batches).argmax(axis=1).tolist()
    return predicted


@contextmanager
def adding_next_to_nothing(classifier: torch.nn.Module) -> Iterator[None]:
    """Let group norms divide by the variance with next to nothing added to it."""
    norms = [module for module in classifier.modules() if isinstance(module, torch.nn.GroupNorm)]
    before = [norm.eps for norm in norms]
    for norm in norms:
        norm.eps = NEXT_TO_NOTHING
    try:
        yield
    finally:
        for norm, eps in zip(norms, before, strict=True):
            norm.eps = eps


def score(pooled: Pooled, key: tuple[float, str], labels: int) -> str:
    """Return the UAR and its 95 % interval over speakers."""
    recall = measure_recall(pooled.truth, pooled.predictions[key], range(labels), pooled.speakers)
    share, low, high = (100 * value for value in recall[1:])
    return f"{share:.1f} % [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    with ending.in_one_line():
        main()
