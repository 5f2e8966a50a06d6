"""Dataset and collator of cached features, in training instead of waveforms; see `ser.acceleration.feature_cache`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset

from ser.acceleration.feature_cache import FeatureCache, Frames
from ser.data.batches import MINIMUM, Numbers
from ser.data.dataset import WaveformDataset


class FeatureExample(TypedDict):
    frames: Frames
    samples: int
    """Length of the clip at 16 kHz."""
    label: int
    clip: int


class CachedFeatureDataset(Dataset[FeatureExample]):
    """A `WaveformDataset` whose audio is replaced by the cached output of the frozen part."""

    def __init__(self, cache: FeatureCache, clips: WaveformDataset) -> None:
        """Take clips that are in the cache, trimmed as they were for it."""
        self._cache, self._clips, self._lengths = cache, clips, clips.lengths()
        self._paths = [utterance.path for utterance in clips.utterances]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> FeatureExample:
        label = int(self._clips.labels()[index])
        frames = self._cache.verified_frames(self._paths[index])
        return {"frames": frames, "samples": int(self._lengths[index]), "label": label, "clip": index}

    def lengths(self) -> Numbers:
        """Return the samples of each clip at 16 kHz, `(clips,)`."""
        return self._lengths

    def labels(self) -> Numbers:
        """Return the class index of each clip, `(clips,)`."""
        return self._clips.labels()


@dataclass(frozen=True)
class CachedFeatureCollator:
    """Pad cached features to the longest clip of the batch, for a classifier that takes them (`FrozenPart.install`).

    Returns:
        `input_values` `(batch, channels, frames)` in the type of the file, `attention_mask` `(batch, samples)` int64
        and `labels` `(batch,)`, with the shapes and the mask that `WaveformCollator` and the part give. The padding is
        the output for silence, because an encoder without a mask (a group norm in its CNN) attends to it.
    """

    cache: FeatureCache

    def __call__(self, examples: Sequence[FeatureExample]) -> dict[str, torch.Tensor]:
        silence = self.cache.silence
        time = max(len(example["frames"]) for example in examples)
        values = np.empty((len(examples), time, len(silence)), dtype=silence.dtype)
        for row, example in zip(values, examples, strict=True):
            row[: len(example["frames"])] = example["frames"]
            row[len(example["frames"]) :] = silence
        lengths = torch.tensor([example["samples"] for example in examples])
        steps = torch.arange(max(MINIMUM, int(lengths.max())))
        return {
            "input_values": torch.from_numpy(values).view(self.cache.dtype).transpose(1, 2),
            "attention_mask": (steps[None, :] < lengths[:, None]).long(),
            "labels": torch.tensor([example["label"] for example in examples]),
        }
