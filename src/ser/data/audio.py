"""Decode, downmix and resample recordings: any container and rate of libsndfile -> 16 kHz mono int16.

soxr HQ takes 1.3 times less time than `torchaudio.functional.resample` with its default filter, which lets 8.5 kHz
through at -11 dB as an alias (soxr: -87 dB); the figures are in scripts/README.md.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ser.checksums import hash_samples
from ser.data.containers import TRUNCATED as TRUNCATED
from ser.data.containers import UnreadableAudio as UnreadableAudio
from ser.data.containers import View
from ser.data.inspection import inspect_recording
from ser.data.mpg123 import silence_mpg123

DECODER = 2
"""Another number for other samples of the same file; what was decoded under another one is decoded again.

1: before 2026-11-27; resampling added a dither before 2026-11-23. 2: MP3 files without a table of their length are read
to their end, W64 and NIST files without what follows the samples.
"""
DECODED_BY = f"{DECODER} libsndfile-{soundfile.__libsndfile_version__} soxr-{soxr.__version__}"

SAMPLE_RATE = 16_000
"""Hertz; what every encoder of the package was trained on."""

Int16 = npt.NDArray[np.int16]

Content = bytes | memoryview
"""The content of a file: an upload is never written to a disk."""
Source = Path | Content

FULL_SCALE = 32767
SILENCE = 33
"""Largest magnitude of a clip that counts as silent: -60 dB of full scale."""
CLIPPED_RUN = 4
"""So many successive samples at full scale count as clipping; one or two are a loud peak."""
SHORTEST = 0.025
"""Seconds; the receptive field of a wav2vec2 frame. Anything shorter has no frame of its own and is padded."""

BLOCK = 2**18
"""Values, of all channels together, that are decoded at a time: a header may promise hours that are not there."""
RATES = (1000, 1_000_000)
"""Hertz, of a file: a rate that no recorder has makes hours out of nothing at 16 kHz."""

Span = tuple[float, float | None]
"""Where a recording begins and ends in its file, in seconds; None: at the end of the file."""
WHOLE: Span = (0.0, None)
EXACT_POSITIONS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")
"""Containers in which libsndfile finds a frame without decoding what is before it."""

LOUDEST = 2.0
"""Largest magnitude of float samples that counts as a loud peak beyond full scale (1.0) and is clipped."""

TOO_SHORT = f"it is shorter than {SHORTEST} s: too short for a single frame of an encoder"
NOT_FINITE = "it holds NaN or infinite samples"


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


def decode(path: Path, span: Span = WHOLE) -> tuple[Int16, int, int]:
    """Return mono int16 samples at the file's own rate, that rate in hertz, and the file's number of channels."""
    with open_audio(path) as file:
        samples = np.concatenate(list(iterate_mono_blocks(file))) if span == WHOLE else decode_span(file, span)
        return samples, int(file.samplerate), int(file.channels)


def decode_span(file: soundfile.SoundFile, span: Span) -> Int16:
    """Return the mono samples of a part of an open file; of a container with exact positions nothing else is decoded.

    Raises:
        UnreadableAudio: the file ends before the part does; a tenth of a second is forgiven.
    """
    start, end = span
    first = round(start * file.samplerate)
    last = None if end is None else round(end * file.samplerate)
    at = file.seek(min(first, int(file.frames))) if file.format in EXACT_POSITIONS else 0
    blocks = [np.zeros(0, np.int16)]
    for frames in iterate_blocks(file, BLOCK if last is None else max(last - at, 1)):
        blocks.append(to_mono_int16(frames[max(first - at, 0) : None if last is None else max(last - at, 0)]))
        at += len(frames)
        if last is not None and at >= last:
            break
    samples: Int16 = np.concatenate(blocks)
    if not len(samples) or (last is not None and at < last - file.samplerate / 10):
        raise UnreadableAudio(f"the file ends after {at / file.samplerate:.2f} s, before this part of it does")
    return samples


@contextmanager
def open_audio(source: Source) -> Iterator[soundfile.SoundFile]:
    """Open a recording to decode it; its header is read.

    Raises:
        UnreadableAudio: here or while it is decoded: it is empty, damaged or truncated, holds several recordings, is of
            an impossible rate, or its float samples are not on the scale of [-1, 1].
    """
    if isinstance(source, Path) and source.suffix.lower() == ".raw":
        raise UnreadableAudio("no header gives its rate; audio=- takes raw samples")
    if isinstance(source, Path) and not stat.S_ISREG(source.stat().st_mode):  # a pipe would be waited for
        raise UnreadableAudio("it is no regular file")
    with source.open("rb") if isinstance(source, Path) else open_content(source) as content:
        pieces, is_mp3 = inspect_recording(content)
        whole = pieces == [range(content.seek(0, io.SEEK_END))]
        try:
            with silence_mpg123() if is_mp3 else nullcontext():
                file = soundfile.SoundFile(
                    soundfile_name(source) if whole and isinstance(source, Path) else View(content, pieces)
                )
            with file:
                if not RATES[0] <= file.samplerate <= RATES[1]:
                    raise UnreadableAudio(f"its sample rate of {file.samplerate} Hz is impossible")
                if file.subtype in ("FLOAT", "DOUBLE"):
                    for frames in iterate_blocks(file):
                        check_scale(frames)
                    file.seek(0)
                yield file
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip() or "no reason is given"
            raise UnreadableAudio(f"it cannot be decoded, being damaged or cut short ({reason})") from error


def open_content(content: Content) -> BinaryIO:
    """Content as a file; it is not copied."""
    return io.BufferedReader(View(io.BytesIO(), [memoryview(content)]))


def soundfile_name(path: Path) -> Path | bytes:
    """Return a path as soundfile takes it: by itself it encodes names strictly, and one that is no UTF-8 fails."""
    return path if os.name == "nt" else os.fsencode(path)


def iterate_mono_blocks(file: soundfile.SoundFile) -> Iterator[Int16]:
    """Yield the samples of an open file block by block, mono int16 `(frames,)` at its own rate.

    Raises:
        UnreadableAudio: it has no sample, no finite one, or fewer than its header gives.
    """
    expected, decoded = int(file.frames), 0
    for frames in iterate_blocks(file):
        decoded += len(frames)
        yield to_mono_int16(frames)
    if decoded < expected:
        raise UnreadableAudio(TRUNCATED)
    if not decoded:
        raise UnreadableAudio("it has no samples")


def iterate_blocks(file: soundfile.SoundFile, most: int = BLOCK) -> Iterator[npt.NDArray[Any]]:
    """Yield blocks of up to `most` frames, `(frames, channels)`; int16 where that holds them, else float32."""
    dtype = "int16" if file.subtype in ("PCM_16", "PCM_S8", "PCM_U8") else "float32"
    size, quiet = max(1, min(BLOCK // file.channels, most)), silence_mpg123 if file.format == "MP3" else nullcontext
    while True:
        with quiet():
            frames = file.read(size, dtype=dtype, always_2d=True)
        if not len(frames):
            break
        yield frames


def to_mono_int16(frames: npt.NDArray[Any]) -> Int16:
    """Average the channels of `(frames, channels)` int16 samples, or float samples in [-1, 1], to `(frames,)` int16."""
    mono: Int16
    if frames.dtype == np.int16:
        mono = frames[:, 0] if frames.shape[1] == 1 else np.rint(frames.mean(axis=1)).astype(np.int16)
    elif np.isfinite(frames).all():
        mono = np.rint(np.clip(frames.mean(axis=1) * 32768, -32768, 32767)).astype(np.int16)
    else:
        raise UnreadableAudio(NOT_FINITE)
    return mono


def check_scale(frames: npt.NDArray[Any]) -> None:
    """Refuse float samples that are not on the scale of [-1, 1]: clipped to it, they would be a square wave.

    Raises:
        UnreadableAudio: they go beyond `LOUDEST`, or are not finite.
    """
    if frames.dtype == np.int16 or not frames.size:
        return
    peak = float(np.abs(frames).max())
    if not np.isfinite(peak):
        raise UnreadableAudio(NOT_FINITE)
    if peak > LOUDEST:
        raise UnreadableAudio(
            f"its float samples reach {peak:.6g}, and full scale is 1.0; divide them by 32768 if they are on the scale "
            "of int16, or else bring them to [-1, 1]"
        )


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
