"""All clips of a run on the GPU, where their batches are made from a few indices.

The audio of RAVDESS takes 171 MB, the output of a frozen CNN for it 272 MB in bfloat16. Once they are on a GPU, the
host no longer reads, normalises, pads or copies a batch.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import TrainingArguments

from ser.acceleration.cached_features import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.feature_cache import FeatureCache
from ser.data.batches import MINIMUM, Numbers
from ser.data.dataset import ExtractorCollator, WaveformCollator, WaveformDataset

log = logging.getLogger("ser")

SHARE = 0.25
"""Largest share of a GPU's free memory for the clips of a run: weights, optimizer and activations need the rest."""


class PackedClips:
    """Clips of unequal length in one tensor on a device, one after the other, behind a first row that pads."""

    def __init__(self, rows: torch.Tensor, counts: Sequence[int]) -> None:
        """Store `rows` `(1 + all steps, ...)` and the number of rows of each clip."""
        assert len(rows) == 1 + sum(counts)
        self.rows = rows
        self.counts = list(counts)
        starts = list(accumulate(counts, initial=1))[:-1]
        self._starts_and_counts = torch.tensor([starts, self.counts], device=rows.device)

    def to(self, device: torch.device) -> "PackedClips":
        """Copy the clips to a device."""
        return PackedClips(self.rows.to(device), self.counts)

    def pad(self, clips: Sequence[int], at_least: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Stack clips into a padded batch.

        Returns:
            The batch `(batch, time, ...)`, padded to the longest clip; the mask `(batch, time)` of true steps; and the
            lengths of the clips `(batch,)`.
        """
        longest = max(at_least, *(self.counts[clip] for clip in clips))
        starts, counts = self._starts_and_counts[:, to_device(clips, self.rows.device)][..., None]
        steps = torch.arange(longest, device=self.rows.device)
        inside = steps < counts
        return self.rows[torch.where(inside, starts + steps, 0)], inside, counts[:, 0]


def to_device(numbers: Sequence[int], device: torch.device) -> torch.Tensor:
    """Copy a few numbers to a device without waiting for it."""
    return torch.tensor(numbers).to(device, non_blocking=True)


class GpuExample(TypedDict):
    packed: int
    """Index of the clip among the packed ones."""
    samples: int
    """Its length at 16 kHz."""
    label: int
    clip: int


class GpuDataset(Dataset[GpuExample]):
    """The indices, lengths and labels of a `WaveformDataset` or `CachedFeatureDataset` whose clips are on the GPU."""

    def __init__(self, clips: WaveformDataset | CachedFeatureDataset, first: int) -> None:
        """Return the numbers of the clips from `first` on, their index among the packed ones."""
        self._first, self._lengths = first, clips.lengths()
        self._labels = clips.labels()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> GpuExample:
        samples, label = int(self._lengths[index]), int(self._labels[index])
        return {"packed": self._first + index, "samples": samples, "label": label, "clip": index}

    def lengths(self) -> Numbers:
        """Return the samples of each clip at 16 kHz, `(clips,)`."""
        return self._lengths

    def labels(self) -> Numbers:
        """Return the class index of each clip, `(clips,)`."""
        return self._labels


@dataclass(frozen=True)
class GpuCollator:
    """Make the batches of `WaveformCollator` on the GPU; sums are rounded otherwise than numpy's."""

    packed: PackedClips
    do_normalize: bool

    def __call__(self, examples: Sequence[GpuExample]) -> dict[str, torch.Tensor]:
        samples, inside, counts = self.packed.pad([example["packed"] for example in examples], MINIMUM)
        values = samples.float() / 32768
        if self.do_normalize:
            mean = values.sum(dim=1) / counts
            centred = (values - mean[:, None]).masked_fill(~inside, 0)
            values = centred / (centred.square().sum(dim=1) / counts + 1e-7).sqrt()[:, None]
        labels = to_device([example["label"] for example in examples], values.device)
        return {"input_values": values, "attention_mask": inside.long(), "labels": labels}


@dataclass(frozen=True)
class GpuFeatureCollator:
    """Make the batches of `CachedFeatureCollator` on the GPU."""

    packed: PackedClips

    def __call__(self, examples: Sequence[GpuExample]) -> dict[str, torch.Tensor]:
        values, _, _ = self.packed.pad([example["packed"] for example in examples])
        samples = [example["samples"] for example in examples]
        steps = torch.arange(max(MINIMUM, *samples), device=values.device)
        return {
            "input_values": values.transpose(1, 2),
            "attention_mask": (steps < to_device(samples, values.device)[:, None]).long(),
            "labels": to_device([example["label"] for example in examples], values.device),
        }


def pack_waveforms(datasets: Sequence[WaveformDataset]) -> PackedClips:
    """Pack the samples of datasets, one after the other; the padding is zero."""
    clips = [clips[index]["samples"] for clips in datasets for index in range(len(clips))]
    samples = np.concatenate([np.zeros(1, np.int16), *clips])
    return PackedClips(torch.from_numpy(samples), [len(clip) for clip in clips])


def pack_features(datasets: Sequence[CachedFeatureDataset], cache: FeatureCache) -> PackedClips:
    """Pack the cached features of datasets, one after the other; the padding is the features of silence."""
    clips = [clips[index]["frames"] for clips in datasets for index in range(len(clips))]
    frames = np.concatenate([cache.silence[None], *clips])
    return PackedClips(torch.from_numpy(frames).view(cache.dtype), [len(clip) for clip in clips])


@dataclass(frozen=True)
class Inputs:
    """The datasets of a run and what makes batches of them."""

    train: WaveformDataset | CachedFeatureDataset | GpuDataset
    evaluated: WaveformDataset | CachedFeatureDataset | GpuDataset | None
    """None: nothing is evaluated during training."""
    collator: WaveformCollator | ExtractorCollator | CachedFeatureCollator | GpuCollator | GpuFeatureCollator
    augmented: bool = False
    """Whether training changes the waveforms in each epoch."""


def move_to_gpu(inputs: Inputs, arguments: TrainingArguments) -> Inputs:
    """Move the clips of a run to the GPU that trains; the log says why where they stay in the memory map."""
    if reason := reason_not_on_gpu(inputs, arguments):
        log.info("trainer.dataset_on_gpu: clips are read from the memory map, because %s", reason)
        return inputs
    packed = pack(inputs)
    if not fits(packed, arguments.device):
        return inputs
    # Batches are made there: nothing is pinned or copied.
    arguments.dataloader_pin_memory = arguments.accelerator_config.non_blocking = False
    return inputs_on_gpu(inputs, packed.to(arguments.device))


def reason_not_on_gpu(inputs: Inputs, arguments: TrainingArguments) -> str:
    """Return why the clips of a run cannot be on the device that trains, however few they are; empty if they can."""
    if arguments.device.type != "cuda":
        return "there is no GPU"
    if inputs.augmented:
        return "the CPU augments them"
    if isinstance(inputs.collator, ExtractorCollator):
        return "the feature extractor of this encoder runs on the CPU"
    if arguments.dataloader_num_workers:
        return "trainer.extra_training_args.dataloader_num_workers makes batches in other processes"
    return ""


def fits(packed: PackedClips, device: torch.device) -> bool:
    """Return whether the free memory of a GPU has room for the clips, and log the figures."""
    needed, (free, _) = packed.rows.nbytes, torch.cuda.mem_get_info(device)
    room = needed <= SHARE * free
    where = "are on the GPU" if room else f"are read from the memory map, because they may take {SHARE:.0%} of it"
    log.info(
        "trainer.dataset_on_gpu: clips take %.2f GB, %.2f GB of the GPU are free: they %s",
        needed / 1e9,
        free / 1e9,
        where,
    )
    return room


def pack(inputs: Inputs) -> PackedClips:
    """Pack the clips of both datasets, or their cached features."""
    datasets: Any = [clips for clips in (inputs.train, inputs.evaluated) if clips is not None]
    if isinstance(inputs.collator, CachedFeatureCollator):
        return pack_features(datasets, inputs.collator.cache)
    return pack_waveforms(datasets)


def inputs_on_gpu(inputs: Inputs, packed: PackedClips) -> Inputs:
    """Return the same datasets and batches, made of packed clips."""
    train, evaluated, collator = inputs.train, inputs.evaluated, inputs.collator
    assert not isinstance(train, GpuDataset)
    assert not isinstance(evaluated, GpuDataset)
    return Inputs(
        GpuDataset(train, 0),
        None if evaluated is None else GpuDataset(evaluated, len(train)),
        GpuCollator(packed, collator.do_normalize)
        if isinstance(collator, WaveformCollator)
        else GpuFeatureCollator(packed),
    )
