"""Memory-mapped cache of the outputs of an encoder's frozen part, used in training instead of waveforms.

The part is the CNN (`ser.acceleration.frozen_cnn`), or the CNN and the first layers (`ser.acceleration.frozen_layers`).
Each clip is computed alone and unpadded: on a GPU in float32 and rounded once to the type of the file, on a CPU in that
type, as by training without a cache. Where the CNN normalises each frame (XLS-R, HuBERT-large, WavLM-large, data2vec,
...), training computes the same. Where it normalises over time (a group norm: wav2vec2-base, HuBERT-base, Moonshine),
the padding of a batch changes every frame of a clip. The cache has the frames of the clip alone, as in evaluation and
inference; training without the cache has the padded ones.

Cached layers see no padding. Behind a CNN that normalises each frame, an attention mask gives the same up to rounding.
The stacked positional convolutions of data2vec read beyond the end of a clip, so there the two differ.

A folder below `data_dir/features` holds one cache and is named by everything that the cache depends on. A folder may
be removed while no run uses it.
"""

import hashlib
import json
import logging
import shutil
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser.acceleration.cpu_autocast import cpu_autocast
from ser.acceleration.frozen_cnn import FrozenCnn, is_frozen
from ser.acceleration.frozen_part import FrozenPart
from ser.console import progress
from ser.data.audio import SAMPLE_RATE
from ser.data.batches import MINIMUM
from ser.data.dataset import WaveformCollator, WaveformDataset, collator_for
from ser.errors import UserError
from ser.files import replacing, write_json
from ser.locks import locked
from ser.models.forward import default_device

log = logging.getLogger("ser")

CNN = FrozenCnn()

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


class FeatureCache:
    """The output of a frozen part: `frames(path)` `(frames, channels)` by recording, and `silence` `(channels,)`."""

    def __init__(self, folder: Path, dtype: torch.dtype, frames: dict[str, int], channels: int) -> None:
        """Map the file of a folder; `frames` has the number of frames of each recording, in the order of the file."""
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
        """The output for digital silence, nearly that for the padding of a batch."""
        silence: Frames = self._frames[0]
        return silence

    def frames(self, path: str) -> Frames:
        """Return a read-only view of the mapped file."""
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


def open_or_compute(
    classifier: PreTrainedModel,
    extractor: SequenceFeatureExtractor,
    clips: WaveformDataset,
    folder: Path,
    dtype: torch.dtype,
    part: FrozenPart = CNN,
) -> FeatureCache:
    """Open the cached output of the frozen part for clips; compute it first if it is missing.

    Args:
        classifier: one with a frozen CNN that takes waveforms; to compute, it is moved to the device that trains.
        extractor: its preprocessing.
        clips: the whole corpus: every fold and seed of a run reads the same file.
        folder: the parent of the caches, `data_dir/features`.
        dtype: float32 or bfloat16, the type in which training computes.
        part: the CNN, or more.

    Raises:
        UserError: the disk is too full; nothing is left there.
    """
    assert is_frozen(classifier)
    collator = collator_for(extractor)
    assert isinstance(collator, WaveformCollator)
    counts: list[int] = classifier.frames(torch.as_tensor(np.maximum(clips.lengths(), MINIMUM))).tolist()
    paths = [utterance.path for utterance in clips.utterances]
    frames = dict(zip(paths, counts, strict=True))
    channels = part.channels(classifier.config)
    values = (1 + sum(counts)) * channels
    made_from = describe_origin(classifier, collator, clips, paths, dtype, part, values)
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
                with cpu_autocast("computed_in" in made_from, default_device()):
                    compute(place, made_from, classifier.to(default_device()), collator, clips, dtype, part)
                log.info("output of the frozen %s: %.0f MB in %s", part.name, made_from["bytes"] / 1e6, place)
    return FeatureCache(place, dtype, frames, channels)


def describe_origin(
    classifier: PreTrainedModel,
    collator: WaveformCollator,
    clips: WaveformDataset,
    paths: Sequence[str],
    dtype: torch.dtype,
    part: FrozenPart,
    values: int,
) -> MadeFrom:
    """Return everything that decides the content of a cache of so many values."""
    made_from: MadeFrom = {
        "layout": LAYOUT,
        part.name.lower(): part.fingerprint(classifier),
        "sample_rate": SAMPLE_RATE,
        "do_normalize": collator.do_normalize,
        "dtype": str(dtype).removeprefix("torch."),
        "audio": audio_sha256(clips, paths),
        "clips": len(set(paths)),
        "bytes": values * NUMPY_TYPES[dtype].itemsize,
    }
    if dtype is torch.bfloat16 and default_device().type == "cpu":
        made_from["computed_in"] = "bfloat16"
    return made_from


def audio_sha256(clips: WaveformDataset, paths: Sequence[str]) -> str:
    """Compute the sha256 of the clips, names and samples: a change in decoding or trimming changes the samples.

    Two gigabytes a second, 0.1 s for RAVDESS.
    """
    identity = hashlib.sha256()
    for index, path in enumerate(paths):
        samples = clips[index]["samples"]
        identity.update(f"{path}\n{len(samples)}\n".encode())
        identity.update(np.ascontiguousarray(samples).data)
    return identity.hexdigest()


def is_valid(place: Path, made_from: MadeFrom) -> bool:
    """Return whether the files exist, were made from the same and have the right sizes."""
    try:
        same: bool = json.loads((place / MADE_FROM).read_text(encoding="utf-8")) == made_from
        sizes = [(place / name).stat().st_size for name in (FRAMES, SUMS)]
    except (OSError, ValueError):
        return False
    return same and sizes == [made_from["bytes"], 4 * (1 + made_from["clips"])]


def check_space(place: Path, needed: int, part: FrozenPart) -> None:
    """Raise a UserError before the work if its result would not fit on the disk."""
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
    """Run the part over every clip; write in order, because a full disk would crash a write through a map."""
    with replacing(place, folder=True) as temporary:
        temporary.mkdir()
        silence = to_bytes(part.run(classifier, torch.zeros(1, MINIMUM, device=default_device()))[..., :1], dtype)
        sums = [zlib.crc32(silence)]
        with (temporary / FRAMES).open("wb") as file:
            file.write(silence)
            with progress(
                range(len(clips)), f"Running the frozen {part.name}", total=len(clips), noun="clips"
            ) as indices:
                for index in indices:
                    waveform = collator([clips[index]])["input_values"].to(default_device())
                    content = to_bytes(part.run(classifier, waveform), dtype)
                    sums.append(zlib.crc32(content))
                    file.write(content)
        np.array(sums, "<u4").tofile(temporary / SUMS)
        assert (temporary / FRAMES).stat().st_size == made_from["bytes"]
        write_json(temporary / MADE_FROM, made_from)


def to_bytes(features: torch.Tensor, dtype: torch.dtype) -> bytes:
    """Convert the features `(1, channels, frames)` of one clip to the bytes of the file, frame after frame."""
    frames = features[0].T.to(dtype).contiguous().cpu()
    return (frames.view(torch.int16) if dtype is torch.bfloat16 else frames).numpy().tobytes()
