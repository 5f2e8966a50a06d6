"""Decode recordings: any container of libsndfile -> mono int16 at the file's own rate, block by block."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from ser.data.containers import TRUNCATED, UnreadableAudio, View
from ser.data.inspection import inspect_recording
from ser.data.mpg123 import silence_mpg123

Int16 = npt.NDArray[np.int16]

Content = bytes | memoryview
"""The content of a file: an upload is never written to a disk."""
Source = Path | Content

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

NOT_FINITE = "it holds NaN or infinite samples"


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
