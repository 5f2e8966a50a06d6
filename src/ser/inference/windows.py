"""Window-by-window prediction of long recordings and live audio, in bounded memory."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, TypeVar

import numpy as np
import soxr

from ser.data.audio import SAMPLE_RATE, SHORTEST, describe_oddity, round_to_int16
from ser.data.audio_file import Int16, Source, iterate_mono_blocks, open_audio
from ser.data.streams import WavFormat, mono_stream
from ser.inference.predictions import WindowPrediction
from ser.inference.predictor import Predictor

log = logging.getLogger("ser")

Item = TypeVar("Item")

SECONDS_AT_ONCE = 240
"""Length in seconds, added up, of the windows of a file that are predicted together; their samples take 8 MB."""


@dataclass(frozen=True)
class Window:
    """A window of a recording."""

    start: int
    """Samples at 16 kHz from the beginning of the recording."""
    samples: Int16

    @property
    def seconds(self) -> tuple[float, float]:
        """Start and end of the window."""
        return self.start / SAMPLE_RATE, (self.start + len(self.samples)) / SAMPLE_RATE


def read_file(source: Source) -> Iterator[Int16]:
    """Yield the 16 kHz samples of `ser.data.audio.load` in blocks, without the whole file in memory.

    Raises:
        UnreadableAudio: See `ser.data.audio_file.open_audio`.
    """
    with open_audio(source) as file:
        yield from resample_blocks(iterate_mono_blocks(file), int(file.samplerate))


def read_stream(stream: BinaryIO, raw: WavFormat) -> Iterator[Int16]:
    """Return an iterator over 16 kHz blocks of a WAV stream, or of raw PCM in the given format, as they arrive.

    Raises:
        UnreadableAudio: See `ser.data.streams.mono_stream`.
    """
    form, blocks = mono_stream(stream, raw)
    if form is not raw:
        log.info("a WAV: %d Hz, channels: %d, %s", form.sample_rate, form.channels, form.subtype)
    return resample_blocks(blocks, form.sample_rate)


def resample_blocks(blocks: Iterable[Int16], sample_rate: int) -> Iterator[Int16]:
    """Resample successive blocks from `sample_rate` hertz to 16 kHz, without discontinuities between them."""
    if sample_rate == SAMPLE_RATE:
        yield from blocks
        return
    stream = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield round_to_int16(stream.resample_chunk(block.astype(np.float32)))
    yield round_to_int16(stream.resample_chunk(np.empty(0, dtype=np.float32), last=True))


def cut_windows(blocks: Iterable[Int16], window: float, hop: float) -> Iterator[Window]:
    """Yield windows of `window` seconds every `hop` seconds, each as soon as its last sample is read.

    If no window on the grid reaches the end of the recording, a last window of the same length ends there. A recording
    shorter than a window is one window. A recording shorter than a frame of the encoder has no window.
    """
    size, step = round(window * SAMPLE_RATE), round(hop * SAMPLE_RATE)
    held, first, begin, reached = np.empty(0, dtype=np.int16), 0, 0, 0
    for block in blocks:
        held = np.concatenate([held, block])
        while first + len(held) >= begin + size:
            yield Window(begin, held[begin - first :][:size])
            reached, begin = begin + size, begin + step
        # Samples that may still be needed: the next window on the grid, or the last `size` samples.
        keep = max(first, min(begin, first + len(held) - size))
        held, first = held[keep - first :], keep
    end = first + len(held)
    if end > reached and end >= SHORTEST * SAMPLE_RATE:
        start = max(0, end - size)
        yield Window(start, held[start - first :])


def predict_windows(
    name: str, blocks: Iterable[Int16], window: float, hop: float, predictor: Predictor, at_once: int | None = None
) -> Iterator[WindowPrediction]:
    """Predict the windows of a recording.

    Args:
        name: Name of the recording in the predictions.
        blocks: Its samples at 16 kHz, in blocks of any size.
        window: Length of a window, in seconds.
        hop: Seconds from the start of one window to the start of the next.
        predictor: The predictor of the windows.
        at_once: Number of windows that are predicted together. 1 predicts each as soon as it is read; None predicts
            several batches of short ones together, so that no core waits.
    """
    at_once = at_once or max(predictor.batch_size, int(SECONDS_AT_ONCE / window))
    for some in chunks(cut_windows(blocks, window, hop), at_once):
        predictions = predictor.predict([one.samples for one in some])
        for one, prediction in zip(some, predictions, strict=True):
            yield WindowPrediction(name, *one.seconds, prediction, warning=describe_oddity(one.samples))


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items; the last one may be shorter.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
