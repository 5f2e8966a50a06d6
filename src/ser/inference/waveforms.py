"""Conversion of files or arrays to 16 kHz mono int16 for the Python API, by the rules of `ser.data.audio`."""

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ser.data import audio
from ser.data.audio import SAMPLE_RATE, SHORTEST, TOO_SHORT
from ser.data.audio_file import RATES, Int16, check_scale, to_mono_int16
from ser.data.containers import UnreadableAudio
from ser.errors import UserError

Clip: TypeAlias = str | os.PathLike[str] | npt.NDArray[Any]
"""A file, or samples `(samples,)` or `(samples, channels)`: floats in [-1, 1], or int16."""


def decode(clip: Clip, sample_rate: float | None, max_seconds: float) -> Int16:
    """Return the 16 kHz samples `(samples,)` of a file or an array.

    Args:
        clip: A file or an array.
        sample_rate: Sample rate of an array, in hertz; ignored for a file.
        max_seconds: Longest clip, in seconds.

    Raises:
        UserError: The clip cannot be used; the message names the file.
    """
    if isinstance(clip, (str, os.PathLike)):
        try:
            return audio.load_short(Path(clip), max_seconds)
        except UnreadableAudio as error:
            raise UserError(f"{os.fspath(clip)}: {error}") from error
        except OSError as error:
            raise UserError(f"{os.fspath(clip)}: {error.strerror or error}") from error
    if not hasattr(clip, "__array__"):
        raise UserError(f"a recording is a path or an array, not {type(clip).__name__}; np.array([...]) makes one")
    try:
        return decode_array(np.asarray(clip), sample_rate, max_seconds)
    except UnreadableAudio as error:
        raise UserError(f"array of shape {np.shape(clip)}: {error}") from error


def decode_array(samples: npt.NDArray[Any], sample_rate: float | None, max_seconds: float) -> Int16:
    """Return the 16 kHz samples of an array.

    Raises:
        UnreadableAudio: The shape, type, scale, length or sample rate cannot be used.
    """
    if sample_rate is None or not RATES[0] <= sample_rate <= RATES[1]:
        raise UnreadableAudio(f"sample_rate={sample_rate}: give its hertz, from {RATES[0]} to {RATES[1]}")
    if samples.dtype != np.int16 and not np.issubdtype(samples.dtype, np.floating):
        raise UnreadableAudio(f"its type is {samples.dtype}; give floats in [-1, 1] or int16")
    frames = samples[:, None] if samples.ndim == 1 else samples
    if frames.ndim != 2 or frames.shape[1] > max(frames.shape[0], 1):
        raise UnreadableAudio("give (samples,) or (samples, channels)")
    if not frames.size:
        raise UnreadableAudio("it has no samples")
    if len(frames) > max_seconds * sample_rate:
        raise UnreadableAudio(f"it is longer than max_seconds={max_seconds:g} s")
    check_scale(frames)
    resampled = audio.resample(to_mono_int16(frames), sample_rate)
    if len(resampled) < SHORTEST * SAMPLE_RATE:
        raise UnreadableAudio(TOO_SHORT)
    return resampled
