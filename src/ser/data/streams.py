"""PCM that arrives through a pipe: a WAV whose header gives its form, or raw samples of a form that is given."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ser.data.audio_file import RATES, Int16, check_scale, to_mono_int16
from ser.data.containers import MAGICS, TRUNCATED, UnreadableAudio, is_placeholder

HEADER = 2**20
"""Bytes of the chunks before the samples that are skipped at most: what sends more is no recorder."""
READ = 2**16
MATROSKA = b"\x1aE\xdf\xa3"
"""The first bytes of WebM, which browsers record. MP4, which phones record, has `ftyp` after the first four."""

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
SUBTYPES = {
    (PCM, 8): "PCM_U8",
    (PCM, 16): "PCM_16",
    (PCM, 24): "PCM_24",
    (PCM, 32): "PCM_32",
    (FLOAT, 32): "FLOAT",
    (FLOAT, 64): "DOUBLE",
}
"""By format tag and bits of a sample, under the names of soundfile."""
WIDTHS = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
"""Bytes of a sample."""


@dataclass(frozen=True)
class WavFormat:
    """The form of little-endian PCM with interleaved channels."""

    sample_rate: int
    """Hertz."""
    channels: int
    subtype: str = "PCM_16"
    """A key of WIDTHS."""
    size: int | None = None
    """Bytes of all samples; None where the header does not say, which is usual for a pipe."""


def mono_stream(stream: BinaryIO, raw: WavFormat) -> tuple[WavFormat, Iterator[Int16]]:
    """Open a stream of PCM.

    Args:
        stream: a buffered reader, such as `sys.stdin.buffer`.
        raw: the form of what begins with no header.

    Returns:
        The form of the stream, that of its header where it is a WAV, and its samples as they arrive, `(frames,)` int16
        at its own rate.

    Raises:
        UnreadableAudio: here, where its header is broken or it is another container than WAV; or in the iterator, where
            the stream ends before the length of its header or holds samples that are no audio.
    """
    begin = stream.read(8)
    if begin[:4] == b"RIFF":
        form = read_wav_header(stream, begin)
        return form, mono_frames(stream, form)
    if begin[:4] in (*MAGICS, MATROSKA) or begin[:3] == b"ID3" or begin[4:] == b"ftyp":
        raise UnreadableAudio(
            f"the stream begins with {begin!r}: it is neither a WAV nor raw samples; give the file's name, or put "
            "`ffmpeg -i - -f wav -` in between"
        )
    return raw, mono_frames(stream, raw, begin)


def read_wav_header(stream: BinaryIO, begin: bytes = b"") -> WavFormat:
    """Read a WAV up to its first sample, without seeking.

    Args:
        stream: a buffered reader.
        begin: the bytes of the header that were read from it before.

    Raises:
        UnreadableAudio: it is no WAV, or of a form that is not PCM.
    """
    header = begin + stream.read(12 - len(begin))
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        raise UnreadableAudio("the stream is no WAV")
    form, skipped = None, 0
    while len(head := stream.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if form is None:
                raise UnreadableAudio("the WAV header has no chunk 'fmt ' before its samples")
            whole = None if size == 0 or is_placeholder(size) else int(size)
            return WavFormat(form.sample_rate, form.channels, form.subtype, whole)
        skipped += size
        if skipped > HEADER:
            raise UnreadableAudio(f"the WAV header has no samples within {HEADER} bytes")
        content = stream.read(size + size % 2)
        if name == b"fmt ":
            form = parsed(content)
    raise UnreadableAudio("the WAV header ends before its samples")


def parsed(content: bytes) -> WavFormat:
    """Read the chunk `fmt ` of a WAV."""
    if len(content) < 16:
        raise UnreadableAudio("the WAV header has a broken chunk 'fmt '")
    tag, channels, sample_rate, _, frame, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack("<H", content[24:26])[0]
    subtype = SUBTYPES.get((tag, bits))
    if subtype is None:
        raise UnreadableAudio(f"the WAV's samples (format {tag}, {bits} bits) are no PCM of 8 to 32 bits and no float")
    if not channels or frame != channels * WIDTHS[subtype]:
        raise UnreadableAudio(f"the WAV header contradicts itself: {channels} channels, {frame} bytes a frame")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise UnreadableAudio(f"its sample rate of {sample_rate} Hz is impossible")
    return WavFormat(sample_rate, channels, subtype)


def mono_frames(stream: BinaryIO, form: WavFormat, begin: bytes = b"") -> Iterator[Int16]:
    """Whatever frames there are, as soon as they are there; half a frame waits for its other half, or is dropped."""
    rest, left, width = begin, form.size, WIDTHS[form.subtype] * form.channels
    while left != 0 and (more := stream.read1(READ if left is None else min(READ, left))):  # type: ignore[attr-defined]
        left = left and left - len(more)
        data = rest + more
        whole = len(data) // width * width
        rest = data[whole:]
        if whole:
            frames = values(data[:whole], form.subtype).reshape(-1, form.channels)
            check_scale(frames)
            yield to_mono_int16(frames)
    if left:
        raise UnreadableAudio(TRUNCATED)


def values(data: bytes, subtype: str) -> npt.NDArray[Any]:
    """Return the samples as libsndfile gives them: int16 where that holds them, else float32 in [-1, 1].

    >>> values(bytes([0, 0, 64]), "PCM_24")
    array([0.5], dtype=float32)
    """
    found: npt.NDArray[Any]
    if subtype == "PCM_16":
        found = np.frombuffer(data, "<i2").astype(np.int16)
    elif subtype == "PCM_U8":
        found = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * np.int16(256)
    elif subtype == "PCM_24":
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        found = padded.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)
    elif subtype == "PCM_32":
        found = np.frombuffer(data, "<i4").astype(np.float32) / np.float32(2**31)
    else:
        found = np.frombuffer(data, "<f4" if subtype == "FLOAT" else "<f8").astype(np.float32)
    return found
