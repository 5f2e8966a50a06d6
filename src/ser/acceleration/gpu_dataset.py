"""All clips of a run on the device that trains: a batch is a few numbers of clips, and made there.

The audio of RAVDESS is 171 MB, what a frozen CNN makes of it 272 MB in bfloat16. Once they are on a GPU no batch is
read, normalised, padded or copied by the host any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset

from ser.acceleration.feature_cache import CachedFeatureDataset, FeatureCache
from ser.data.dataset import MINIMUM, WaveformDataset


class Store:
    """Clips of unequal length in one tensor on a device, one after the other, behind a first row that pads."""

    def __init__(self, rows: torch.Tensor, counts: Sequence[int]) -> None:
        """Take `rows` `(1 + all steps, ...)` and how many of them each clip has."""
        assert len(rows) == 1 + sum(counts)
        self.rows = rows
        self.counts = list(counts)
        starts = list(accumulate(counts, initial=1))[:-1]
        self._starts_and_counts = torch.tensor([starts, self.counts], device=rows.device)

    def to(self, device: torch.device) -> "Store":
        """The same clips on another device."""
        return Store(self.rows.to(device), self.counts)

    def padded(self, clips: Sequence[int], at_least: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Put clips side by side.

        Returns:
            `(batch, time, ...)`, padded to the longest; which of it belongs to the clips, `(batch, time)` booleans; and
            how much that is, `(batch,)`.
        """
        longest = max(at_least, *(self.counts[clip] for clip in clips))
        starts, counts = self._starts_and_counts[:, on(self.rows.device, clips)][..., None]
        steps = torch.arange(longest, device=self.rows.device)
        inside = steps < counts
        return self.rows[torch.where(inside, starts + steps, 0)], inside, counts[:, 0]


def on(device: torch.device, numbers: Sequence[int]) -> torch.Tensor:
    """A few numbers on the device, which is not waited for."""
    return torch.tensor(numbers).to(device, non_blocking=True)


class ResidentExample(TypedDict):
    row: int
    """Place of the clip in the store."""
    samples: int
    """Its length at 16 kHz."""
    label: int
    clip: int


class GpuDataset(Dataset[ResidentExample]):
    """`WaveformDataset` or `CachedFeatureDataset` of which the host has only the numbers."""

    def __init__(self, clips: WaveformDataset | CachedFeatureDataset, first: int) -> None:
        """Take clips that lie in a store from the row `first` on."""
        self._first, self._lengths = first, clips.lengths()
        self._labels = [clips[index]["label"] for index in range(len(clips))]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> ResidentExample:
        row, samples, label = self._first + index, self._lengths[index], self._labels[index]
        return {"row": row, "samples": samples, "label": label, "clip": index}

    def lengths(self) -> list[int]:
        """Samples of each clip at 16 kHz."""
        return self._lengths


@dataclass(frozen=True)
class GpuCollator:
    """The batches of `WaveformCollator`, made where the audio lies; sums are taken in another order than numpy's."""

    store: Store
    do_normalize: bool

    def __call__(self, examples: Sequence[ResidentExample]) -> dict[str, torch.Tensor]:
        samples, inside, counts = self.store.padded([example["row"] for example in examples], MINIMUM)
        values = samples.float() / 32768
        if self.do_normalize:
            mean = values.sum(dim=1) / counts
            centred = (values - mean[:, None]).masked_fill(~inside, 0)
            values = centred / (centred.square().sum(dim=1) / counts + 1e-7).sqrt()[:, None]
        labels = on(values.device, [example["label"] for example in examples])
        return {"input_values": values, "attention_mask": inside.long(), "labels": labels}


@dataclass(frozen=True)
class GpuFeatureCollator:
    """The batches of `CachedFeatureCollator`, made where the frames lie."""

    store: Store

    def __call__(self, examples: Sequence[ResidentExample]) -> dict[str, torch.Tensor]:
        values, _, _ = self.store.padded([example["row"] for example in examples])
        samples = [example["samples"] for example in examples]
        steps = torch.arange(max(MINIMUM, *samples), device=values.device)
        return {
            "input_values": values.transpose(1, 2),
            "attention_mask": (steps < on(values.device, samples)[:, None]).long(),
            "labels": on(values.device, [example["label"] for example in examples]),
        }


def stored_audio(datasets: Sequence[WaveformDataset]) -> Store:
    """The samples of some datasets, one after the other; padded with zeros."""
    clips = [clips[index]["samples"] for clips in datasets for index in range(len(clips))]
    samples = np.concatenate([np.zeros(1, np.int16), *clips])
    return Store(torch.from_numpy(samples), [len(clip) for clip in clips])


def stored_frames(datasets: Sequence[CachedFeatureDataset], cache: FeatureCache) -> Store:
    """The CNN's output for some datasets, one after the other; padded with what it makes of silence."""
    clips = [clips[index]["frames"] for clips in datasets for index in range(len(clips))]
    frames = np.concatenate([cache.silence[None], *clips])
    return Store(torch.from_numpy(frames).view(cache.dtype), [len(clip) for clip in clips])
