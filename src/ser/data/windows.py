"""Long recordings and live audio: blocks of any size in, windows of one size out, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soxr

from ser.data.audio import SAMPLE_RATE, SHORTEST, Int16, Source, mono_blocks, opened, rounded, to_mono_int16


@dataclass(frozen=True)
class Window:
    """A stretch of a recording."""

    start: int
    """Samples at 16 kHz since the recording's begin."""
    samples: Int16

    @property
    def seconds(self) -> tuple[float, float]:
        """Where it begins and ends."""
        return self.start / SAMPLE_RATE, (self.start + len(self.samples)) / SAMPLE_RATE


def of_file(source: Source) -> Iterator[Int16]:
    """A file as blocks at 16 kHz, the samples of `ser.data.audio.load`; its samples are never in memory as a whole.

    Raises:
        UnreadableAudio: see `ser.data.audio.opened`.
    """
    with opened(source) as file:
        yield from resampled(mono_blocks(file), int(file.samplerate))


def of_stream(stream: BinaryIO, sample_rate: int, channels: int) -> Iterator[Int16]:
    """Raw little-endian 16-bit PCM with interleaved channels, as it arrives, at 16 kHz."""
    return resampled(mono_frames(stream, channels), sample_rate)


def mono_frames(stream: BinaryIO, channels: int) -> Iterator[Int16]:
    """Whatever bytes there are, as soon as they are there; half a frame waits for its other half, or is dropped."""
    rest, width = b"", 2 * channels
    while more := stream.read1(2**16):  # type: ignore[attr-defined]  # of any buffered reader
        data = rest + more
        whole = len(data) // width * width
        rest = data[whole:]
        if whole:
            frames = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16).reshape(-1, channels)
            yield to_mono_int16(frames)


def resampled(blocks: Iterable[Int16], sample_rate: int) -> Iterator[Int16]:
    """Bring successive blocks from `sample_rate` hertz to 16 kHz, with no seam between them."""
    if sample_rate == SAMPLE_RATE:
        yield from blocks
        return
    stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield rounded(stream.resample_chunk(block.astype(np.float32)))
    yield rounded(stream.resample_chunk(np.empty(0, dtype=np.float32), last=True))


def windows(blocks: Iterable[Int16], window: float, hop: float) -> Iterator[Window]:
    """Cut `window` seconds every `hop` seconds, each as soon as its last sample is there.

    The end of the recording that no whole window reaches has a last one, of the same length but not on the grid; a
    recording shorter than a window is one window. What is shorter than a frame of an encoder has none.
    """
    size, step = round(window * SAMPLE_RATE), round(hop * SAMPLE_RATE)
    held, first, begin, reached = np.empty(0, dtype=np.int16), 0, 0, 0
    for block in blocks:
        held = np.concatenate([held, block])
        while first + len(held) >= begin + size:
            yield Window(begin, held[begin - first :][:size])
            reached, begin = begin + size, begin + step
        # What may still be needed: the next window on the grid, or the last `size` samples.
        keep = max(first, min(begin, first + len(held) - size))
        held, first = held[keep - first :], keep
    end = first + len(held)
    if end > reached and end >= SHORTEST * SAMPLE_RATE:
        start = max(0, end - size)
        yield Window(start, held[start - first :])
