"""Load recordings: any container and rate of libsndfile -> 16 kHz mono int16, and what is odd about them.

soxr HQ takes 1.3 times less time than `torchaudio.functional.resample` with its default filter, which lets 8.5 kHz
through at -11 dB as an alias (soxr: -87 dB); the figures are in scripts/README.md.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ser.checksums import hash_samples
from ser.data.audio_file import WHOLE, Int16, Source, Span, decode, iterate_mono_blocks, open_audio
from ser.data.containers import UnreadableAudio

DECODER = 2
"""Another number for other samples of the same file; what was decoded under another one is decoded again.

1: before 2026-11-27; resampling added a dither before 2026-11-23. 2: MP3 files without a table of their length are read
to their end, W64 and NIST files without what follows the samples.
"""
DECODED_BY = f"{DECODER} libsndfile-{soundfile.__libsndfile_version__} soxr-{soxr.__version__}"

SAMPLE_RATE = 16_000
"""Hertz; what every encoder of the package was trained on."""

FULL_SCALE = 32767
SILENCE = 33
"""Largest magnitude of a clip that counts as silent: -60 dB of full scale."""
CLIPPED_RUN = 4
"""So many successive samples at full scale count as clipping; one or two are a loud peak."""
SHORTEST = 0.025
"""Seconds; the receptive field of a wav2vec2 frame. Anything shorter has no frame of its own and is padded."""

TOO_SHORT = f"it is shorter than {SHORTEST} s: too short for a single frame of an encoder"


@dataclass(frozen=True)
class Clip:
    """A decoded recording: what was found in the file, and its 16 kHz samples."""

    samples: Int16
    duration: float
    """Seconds."""
    sample_rate: int
    """Hertz, of the file."""
    channels: int
    """Of the file."""
    sha256: str
    """Of the mono int16 samples at the file's rate, so that a copy in another lossless container has the same."""
    peak: int
    """Largest magnitude, of 32768."""
    clipped: bool


def load(path: Path, span: Span = WHOLE) -> Clip:
    """Decode a recording.

    Raises:
        UnreadableAudio: the file is empty, damaged or truncated, or has no sample or no finite one; or it ends before
            the span does.
    """
    native, sample_rate, channels = decode(path, span)
    peak = max(int(native.max()), -int(native.min()))
    return Clip(
        samples=resample(native, sample_rate),
        duration=len(native) / sample_rate,
        sample_rate=sample_rate,
        channels=channels,
        sha256=hash_samples(native),
        peak=peak,
        clipped=is_clipped(native),
    )


def is_clipped(samples: Int16) -> bool:
    """Return whether `CLIPPED_RUN` successive samples are at full scale."""
    at_full_scale = np.abs(samples.astype(np.int32)) >= FULL_SCALE
    return bool(at_full_scale.any()) and longest_run(at_full_scale) >= CLIPPED_RUN


def describe_oddity(samples: Int16) -> str:
    """Return a warning about a usable recording, by the criteria of the audit; empty if there is none.

    Args:
        samples: `(samples,)`, of the whole recording or a part of it.
    """
    if not len(samples) or max(int(samples.max()), -int(samples.min())) < SILENCE:
        return "it is silent (nothing above -60 dB of full scale)"
    return "it is clipped" if is_clipped(samples) else ""


def load_short(source: Source, max_seconds: float) -> Int16:
    """Return the 16 kHz samples of a recording of at most `max_seconds`, as `load` does; decode no more of it.

    Raises:
        UnreadableAudio: as `load`, or it is longer, or too short for a frame of an encoder.
    """
    blocks, frames = [], 0
    with open_audio(source) as file:
        for block in iterate_mono_blocks(file):
            blocks.append(block)
            frames += len(block)
            if frames > max_seconds * file.samplerate:
                raise UnreadableAudio(
                    f"it is longer than max_seconds={max_seconds:g} s; give window=4 for a prediction every 4 s"
                )
        samples = resample(np.concatenate(blocks), int(file.samplerate))
    if len(samples) < SHORTEST * SAMPLE_RATE:
        raise UnreadableAudio(TOO_SHORT)
    return samples


def resample(samples: Int16, sample_rate: float) -> Int16:
    """Bring mono int16 samples from `sample_rate` hertz to 16 kHz.

    In float32, rounded here: on int16 soxr adds a dither of its own that no seed decides, and a clip would have other
    samples in another thread.
    """
    if sample_rate == SAMPLE_RATE:
        return samples
    return round_to_int16(soxr.resample(samples.astype(np.float32), sample_rate, SAMPLE_RATE, quality="HQ"))


def round_to_int16(samples: npt.NDArray[np.float32]) -> Int16:
    """Float samples on the scale of int16 as int16; what goes beyond is clipped."""
    np.rint(samples, out=samples)
    return np.clip(samples, -32768, 32767, out=samples).astype(np.int16)


def longest_run(flags: npt.NDArray[np.bool_]) -> int:
    """Length of the longest run of true values.

    >>> longest_run(np.array([True, False, True, True]))
    2
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))
