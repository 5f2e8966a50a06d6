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

import torch
from tabulate import tabulate
from tested_clips import describe_recall, open_tested

from ser import console, ending
from ser.augmentation.effects import scale_level
from ser.data.audio import round_to_int16
from ser.data.dataset import Example, Samples
from ser.evaluation.samples import to_waveform
from ser.inference.checkpoint_member import CheckpointMember
from ser.models.forward import compute_logits

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
        [
            f"{level:+g} dB" if level else "as recorded",
            *(describe_recall(pooled.truth, pooled.predictions[level, way], labels, pooled.speakers) for way in WAYS),
        ]
        for level in args.decibels
    ]
    print(tabulate(rows, ["UAR", *WAYS], "github"))
    print(f"{len(pooled.truth)} clips, {len({*pooled.speakers})} speakers; {time.monotonic() - started:.0f} s")


def predict_levels(run: Path, data_dir: str | None, decibels: Sequence[float], pooled: Pooled) -> int:
    """Add the predictions of the tested clips of a run, and return the number of its labels."""
    member, rows, clips = open_tested(run, data_dir)
    spoken = [to_waveform(clip) for clip in member.cut_silence(clips)]
    pooled.truth += [member.labels.index(row.emotion) for row in rows]
    pooled.speakers += [row.speaker for row in rows]
    for level in decibels:
        scaled = [scale_level(waveform, level).numpy() for waveform in spoken]
        rounded = [round_to_int16(clip * 32768) for clip in scaled]
        found = [predict(member, scaled), predict(member, rounded)]
        with adding_next_to_nothing(member.classifier):
            found.append(predict(member, rounded))
        for way, predicted in zip(WAYS, found, strict=True):
            pooled.predictions.setdefault((level, way), []).extend(predicted)
    return len(member.labels)


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


if __name__ == "__main__":
    with ending.in_one_line():
        main()
