"""The input of an encoder for a clip, computed with numpy alone.

This file imports nothing of `ser`: it is copied beside exported models.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Preprocessing:
    """What an encoder was trained with."""

    shortest: int
    """Samples to which a clip is padded at least."""
    do_normalize: bool = False
    """Whether a waveform has zero mean and unit variance."""
    filters: Array | None = None
    """The mel filters of an encoder that takes features, `(frequencies, mels)`."""


def waveform(samples: Array, given: Preprocessing) -> tuple[Array, Array]:
    """Return the waveform of int16 samples, `(1, samples)`, and a mask that is 1 for the clip and 0 for padding."""
    clip = samples.astype(np.float32) / 32768
    if given.do_normalize:
        clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    padding = (0, max(0, given.shortest - len(clip)))
    return np.pad(clip, padding)[None], np.pad(np.ones(len(clip), dtype=np.int64), padding)[None]


def log_mel(samples: Array, given: Preprocessing) -> tuple[Array, Array]:
    """Return the log-mel features of Whisper: `(1, mels, time)` of at most 30 s, 10 ms a step."""
    clip = pad(samples, given)[:480_000]
    whole = np.pad(np.pad(clip, (0, 480_000 - len(clip))), 200, mode="reflect")
    spectrum = np.abs(np.fft.rfft(cut_frames(whole)[:-1] * np.hanning(401)[:-1])) ** 2
    mels = np.log10(np.maximum(spectrum @ given.filters, 1e-10))
    mels = (np.maximum(mels, mels.max() - 8) + 4) / 4
    steps = -(-len(clip) // 160)
    return mels[:steps].T[None].astype(np.float32), np.ones((1, steps), dtype=np.int64)


def filter_banks(samples: Array, given: Preprocessing) -> tuple[Array, Array]:
    """Return the filter banks of wav2vec2-BERT: `(1, time, 160)`, two steps of 10 ms side by side."""
    frames = cut_frames(pad(samples, given) * 32768)
    frames -= frames.mean(axis=1, keepdims=True)
    frames = np.concatenate([0.03 * frames[:, :1], frames[:, 1:] - 0.97 * frames[:, :-1]], axis=1)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(400) ** 0.85, 512)) ** 2
    mels = np.log(np.maximum(spectrum @ given.filters, 1.192092955078125e-07))
    mels = (mels - mels.mean(axis=0)) / np.sqrt(mels.var(axis=0, ddof=1) + 1e-7)
    pairs = mels[: len(mels) // 2 * 2].reshape(1, len(mels) // 2, -1).astype(np.float32)
    return pairs, np.ones(pairs.shape[:2], dtype=np.int64)


def cut_frames(clip: Array) -> Array:
    """Return windows of 25 ms, 10 ms apart."""
    return np.lib.stride_tricks.sliding_window_view(clip, 400)[::160].astype(np.float64)


def pad(samples: Array, given: Preprocessing) -> Array:
    return np.pad(samples.astype(np.float32) / 32768, (0, max(0, given.shortest - len(samples))))


PREPARE: dict[str, Callable[[Array, Preprocessing], tuple[Array, Array]]] = {
    "waveform": waveform,
    "log_mel": log_mel,
    "filter_banks": filter_banks,
}
"""By the name in ser.json."""
