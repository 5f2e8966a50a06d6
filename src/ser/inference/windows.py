"""Long recordings and live audio: blocks of any size in, windows of one size out, in bounded memory."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soxr

from ser.data.audio import SAMPLE_RATE, SHORTEST, Int16, Source, mono_blocks, opened, rounded
from ser.data.streams import WavFormat, mono_stream

log = logging.getLogger("ser")


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


def of_stream(stream: BinaryIO, raw: WavFormat) -> Iterator[Int16]:
    """A WAV, or raw PCM of a form that is given, as it arrives, at 16 kHz.

    Raises:
        UnreadableAudio: see `ser.data.streams.mono_stream`.
    """
    form, blocks = mono_stream(stream, raw)
    if form is not raw:
        log.info("a WAV: %d Hz, channels: %d, %s", form.sample_rate, form.channels, form.subtype)
    return resampled(blocks, form.sample_rate)


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
