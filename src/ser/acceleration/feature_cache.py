"""Memory-mapped cache of the outputs of an encoder's frozen part, used in training instead of waveforms.

The part is the CNN (`ser.acceleration.frozen_cnn`), or the CNN and the first layers (`ser.acceleration.frozen_layers`).
Each clip is computed alone, unpadded and in float32, and rounded once to the type in which it is stored. Where the CNN
normalises each frame (XLS-R, HuBERT-large, WavLM-large, data2vec, ...), training computes the same. Where it normalises
over time (a group norm: wav2vec2-base, HuBERT-base, Moonshine), the padding of a batch changes every frame of a clip.
The cache stores the frames of the clip alone, as evaluation and inference compute them; training without the cache
pads. The two runs then differ, and the cached one is better defined.

Layers behind such a CNN hear no padding in this file either; those that are trained do attend to it. Behind the other
kind they are masked: what is kept is what training computes, up to the rounding of attention under a mask. But the
stacked positional convolutions of data2vec read beyond the end of a clip, and here there is nothing to read.

A folder below `data_dir/features` holds one such file, and is named by all that the file depends on. Any of them may
be removed while no run uses it.
"""

import hashlib
import json
import logging
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from transformers import PretrainedConfig, PreTrainedModel, SequenceFeatureExtractor

from ser.acceleration import frozen_cnn
from ser.console import progress
from ser.data.audio import SAMPLE_RATE
from ser.data.dataset import MINIMUM, WaveformCollator, WaveformDataset, collator_for
from ser.errors import UserError
from ser.files import replacing, write_json
from ser.locks import locked
from ser.models.forward import default_device

log = logging.getLogger("ser")

FOLDER = "features"
"""Below `data_dir`."""
FRAMES = "frames.bin"
"""`(1 + frames of all clips, channels)`, one clip after the other; the first row is a frame of silence."""
MADE_FROM = "made_from.json"
SUMS = "crc32.bin"
"""A little-endian uint32 for the first row, and for each clip."""
LAYOUT = 2
"""Another number for another way to compute or store; files of earlier ones are then left alone."""

NUMPY_TYPES: dict[torch.dtype, np.dtype[Any]] = {torch.float32: np.dtype("f4"), torch.bfloat16: np.dtype("i2")}
"""numpy has no bfloat16: its bits are kept as int16."""

Frames = npt.NDArray[Any]
MadeFrom = dict[str, Any]


class FrozenPart(Protocol):
    """A frozen part of an encoder, from the waveform on."""

    @property
    def name(self) -> str:
        """What it is called in a log."""

    def fingerprint(self, classifier: PreTrainedModel) -> str:
        """Sha256 of all that decides what it makes of a waveform."""

    def channels(self, config: PretrainedConfig) -> int:
        """Width of a frame of its output."""

    def run(self, classifier: PreTrainedModel, waveforms: torch.Tensor) -> torch.Tensor:
        """Waveforms `(batch, samples)` -> `(batch, channels, frames)`."""

    def install(self, classifier: PreTrainedModel) -> None:
        """Let a classifier take that output as its `input_values`."""


class FeatureCache:
    """The output of a part for some recordings: `frames(path)` `(frames, channels)`, and `silence` `(channels,)`."""

    def __init__(self, folder: Path, dtype: torch.dtype, frames: dict[str, int], channels: int) -> None:
        """Map the file of a folder; `frames` says how many each recording has, in the order of the file."""
        self.dtype, self._folder = dtype, folder
        self._sums: dict[str, int] = dict(zip(frames, np.fromfile(folder / SUMS, "<u4")[1:].tolist(), strict=True))
        ends = list(accumulate(frames.values(), initial=1))
        self._rows: dict[str, tuple[int, int]] = dict(zip(frames, pairwise(ends), strict=True))
        # As a bare array: a slice of np.memmap takes ten times as long.
        self._frames: Frames = np.asarray(
            np.memmap(folder / FRAMES, dtype=NUMPY_TYPES[dtype], mode="r", shape=(ends[-1], channels))
        )

    @property
    def silence(self) -> Frames:
        """What the part makes of digital silence: nearly what it makes of the padding of a batch."""
        silence: Frames = self._frames[0]
        return silence

    def frames(self, path: str) -> Frames:
        """A read-only view of the mapped file."""
        first, end = self._rows[path]
        return self._frames[first:end]

    def verified_frames(self, path: str) -> Frames:
        """Return `frames(path)`, comparing the checksum the first time.

        Raises:
            UserError: the frames are not what was computed.
        """
        frames = self.frames(path)
        if path in self._sums and zlib.crc32(frames.data) != self._sums.pop(path):
            raise UserError(f"{self._folder}: damaged (the frames of {path}); remove it, and it is computed again")
        return frames


class FeatureExample(TypedDict):
    frames: Frames
    samples: int
    """Length of the clip at 16 kHz."""
    label: int
    clip: int


class CachedFeatureDataset(Dataset[FeatureExample]):
    """`WaveformDataset` whose audio went through the frozen part already."""

    def __init__(self, cache: FeatureCache, clips: WaveformDataset) -> None:
        """Take clips that are among those of the cache, and cut as those were."""
        self._cache, self._clips, self._lengths = cache, clips, clips.lengths()
        self._paths = [utterance.path for utterance in clips.utterances]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> FeatureExample:
        label = self._clips[index]["label"]
        frames = self._cache.verified_frames(self._paths[index])
        return {"frames": frames, "samples": self._lengths[index], "label": label, "clip": index}

    def lengths(self) -> list[int]:
        """Samples of each clip at 16 kHz."""
        return self._lengths


@dataclass(frozen=True)
class CachedFeatureCollator:
    """Pad frames to the longest clip of the batch, for a classifier that was told to take them (`install` of the part).

    Returns:
        `input_values` `(batch, channels, frames)` in the type of the file, `attention_mask` `(batch, samples)` int64
        and `labels` `(batch,)`: in shapes and mask what `WaveformCollator` and the part make of the same clips. Padded
        with silence, because an encoder without a mask (a group norm in its CNN) attends to the padding.
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


def open_or_compute(
    classifier: PreTrainedModel,
    extractor: SequenceFeatureExtractor,
    clips: WaveformDataset,
    folder: Path,
    dtype: torch.dtype,
    part: FrozenPart = frozen_cnn,
) -> FeatureCache:
    """Open the output of the frozen part for some clips; compute it first where it is not there yet.

    Args:
        classifier: one with a frozen CNN that takes waveforms (`FrozenCnn.can_cache`); to compute, it is moved to the
            device on which it will be trained.
        extractor: its preprocessing.
        clips: all of the corpus, and every fold and seed of a run reads the same file.
        folder: where such files are kept, `data_dir/features`.
        dtype: float32 or bfloat16, the type in which training computes.
        part: the CNN, or more.

    Raises:
        UserError: the disk is too full; nothing is left there.
    """
    assert frozen_cnn.is_frozen(classifier)
    collator = collator_for(extractor)
    assert isinstance(collator, WaveformCollator)
    lengths = torch.tensor([max(MINIMUM, length) for length in clips.lengths()])
    counts: list[int] = classifier.frames(lengths).tolist()
    frames = dict(zip((utterance.path for utterance in clips.utterances), counts, strict=True))
    channels = part.channels(classifier.config)
    made_from: MadeFrom = {
        "layout": LAYOUT,
        part.name.lower(): part.fingerprint(classifier),
        "sample_rate": SAMPLE_RATE,
        "do_normalize": collator.do_normalize,
        "dtype": str(dtype).removeprefix("torch."),
        "audio": audio_sha256(clips),
        "clips": len(frames),
        "bytes": (1 + sum(counts)) * channels * NUMPY_TYPES[dtype].itemsize,
    }
    place = folder / hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
    if is_valid(place, made_from):
        log.info("output of the frozen %s: read from %s", part.name, place)
    else:
        check_space(place, made_from["bytes"], part)
        with locked(place, wait=True):
            # Another run may have written it meanwhile; it is then read, and not replaced under that run.
            if not is_valid(place, made_from):
                if place.exists():
                    log.warning("warning: %s: it is damaged, and is computed again", place)
                compute(place, made_from, classifier.to(default_device()), collator, clips, dtype, part)
                log.info("output of the frozen %s: %.0f MB in %s", part.name, made_from["bytes"] / 1e6, place)
    return FeatureCache(place, dtype, frames, channels)


def audio_sha256(clips: WaveformDataset) -> str:
    """Sha256 of the clips, name by name and sample by sample: a change in decoding or trimming is one of the samples.

    Two gigabytes a second, 0.1 s for RAVDESS.
    """
    identity = hashlib.sha256()
    for index, utterance in enumerate(clips.utterances):
        samples = clips[index]["samples"]
        identity.update(f"{utterance.path}\n{len(samples)}\n".encode())
        identity.update(np.ascontiguousarray(samples).data)
    return identity.hexdigest()


def is_valid(place: Path, made_from: MadeFrom) -> bool:
    """Whether the files are there, made from the same and of the right sizes."""
    try:
        same: bool = json.loads((place / MADE_FROM).read_text(encoding="utf-8")) == made_from
        sizes = [(place / name).stat().st_size for name in (FRAMES, SUMS)]
    except (OSError, ValueError):
        return False
    return same and sizes == [made_from["bytes"], 4 * (1 + made_from["clips"])]


def check_space(place: Path, needed: int, part: FrozenPart) -> None:
    """Refuse before the work what would fill the disk at its end."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{place.parent}: it cannot be written ({error.strerror}), and trainer.cache_features=true keeps what "
            f"the {part.name} computes there; give trainer.cache_features=false or another data_dir"
        ) from error
    free = shutil.disk_usage(place.parent).free
    if free < needed:
        raise UserError(
            f"no space left: {place.parent} needs {needed / 1e9:.2f} GB for the output of the {part.name}, "
            f"{free / 1e9:.2f} GB are free; make room or give trainer.cache_features=false"
        )


def compute(
    place: Path,
    made_from: MadeFrom,
    classifier: PreTrainedModel,
    collator: WaveformCollator,
    clips: WaveformDataset,
    dtype: torch.dtype,
    part: FrozenPart,
) -> None:
    """Run the part over every clip; written in order rather than through a map, which a full disk would crash."""
    with replacing(place, folder=True) as temporary:
        temporary.mkdir()
        silence = to_bytes(part.run(classifier, torch.zeros(1, MINIMUM, device=default_device()))[..., :1], dtype)
        sums = [zlib.crc32(silence)]
        with (temporary / FRAMES).open("wb") as file:
            file.write(silence)
            for index in progress(range(len(clips)), f"Running the frozen {part.name}", total=len(clips)):
                waveform = collator([clips[index]])["input_values"].to(default_device())
                content = to_bytes(part.run(classifier, waveform), dtype)
                sums.append(zlib.crc32(content))
                file.write(content)
        np.array(sums, "<u4").tofile(temporary / SUMS)
        assert (temporary / FRAMES).stat().st_size == made_from["bytes"]
        write_json(temporary / MADE_FROM, made_from)


def to_bytes(features: torch.Tensor, dtype: torch.dtype) -> bytes:
    """One clip `(1, channels, frames)` as it is kept, frame after frame."""
    frames = features[0].T.to(dtype).contiguous().cpu()
    return (frames.view(torch.int16) if dtype is torch.bfloat16 else frames).numpy().tobytes()
