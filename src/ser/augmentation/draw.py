"""The augmented waveforms of training clips, drawn from the seed of the run, the epoch and the clip alone.

So a resumed run, another number of processes and batches made by workers have the same waveforms, bit for bit. The
generator of PyTorch that dropout uses is left alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ser.augmentation import effects
from ser.augmentation.noise import NoiseFolder, coloured_noise
from ser.augmentation.rooms import ResponseFolder, simulate_response
from ser.config import Augment
from ser.data.audio import SAMPLE_RATE, SHORTEST
from ser.data.audio_file import Int16
from ser.data.batches import Numbers
from ser.data.dataset import to_float
from ser.data.silence import speech_span

BROWNEST = 2.0
"""Largest exponent of coloured noise: from white (0) over pink (1) to brown (2), all equally likely."""
SHORTEST_CLIP = round(SHORTEST * SAMPLE_RATE)

Waveform = npt.NDArray[np.float32]
Sections = tuple[Numbers, Numbers, npt.NDArray[np.float64]]
"""Of each clip, `(clips,)`: where it begins, where it ends, and its speed."""


class Augmenter:
    """Draws the waveform of a clip for an epoch."""

    def __init__(self, options: Augment, seed: int, clips: Any) -> None:
        """Read what the draws depend on.

        Args:
            options: The effects.
            seed: Of the run.
            clips: The training clips, a `WaveformDataset`.

        Raises:
            UserError: A folder of noises or responses cannot be used.
        """
        self.options, self.seed = options, seed
        self._noises, self._responses = open_folders(options)
        lengths = clips.lengths()
        # The part of a clip that always stays.
        self._spans = np.stack([np.zeros_like(lengths), lengths], axis=1)
        if options.trim_silence:
            for index, span in enumerate(self._spans):
                span[:] = speech_span(clips[index]["samples"])
        self._lengths = lengths
        self._drawn: tuple[int, Sections] | None = None

    def sections(self, epoch: int) -> Sections:
        """Return what decides the lengths of all clips in an epoch; that of the latest one is kept."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = (epoch, self._draw_sections(epoch))
        return self._drawn[1]

    def _draw_sections(self, epoch: int) -> Sections:
        options, count = self.options, len(self._lengths)
        generator = np.random.default_rng((self.seed, epoch, 2))  # 1 is the order of `ser.training.samplers`
        before, after, played, which = generator.random((4, count))
        starts = (before * options.trim_silence * self._spans[:, 0]).astype(np.int64)
        stops = self._lengths - (after * options.trim_silence * (self._lengths - self._spans[:, 1])).astype(np.int64)
        factors = np.array(options.speed_factors)[(which * len(options.speed_factors)).astype(int)]
        # A clip of a single frame is not shortened further.
        kept = (played >= options.speed_probability) | ((stops - starts) / factors < SHORTEST_CLIP)
        return starts, stops, np.where(kept, 1.0, factors)

    def lengths(self, epoch: int) -> Numbers:
        """Return the samples of each clip in an epoch, `(clips,)`."""
        starts, stops, factors = self.sections(epoch)
        lengths = stops - starts
        for factor in np.unique(factors).tolist():
            played = factors == factor
            lengths[played] = effects.changed_length(lengths[played], factor)
        return lengths

    def length_range(self) -> tuple[int, int]:
        """Return the samples of the shortest and of the longest clip that can be drawn."""
        factors = self.options.speed_factors if self.options.speed_probability else [1.0]
        kept = self._spans[:, 1] - self._spans[:, 0] if self.options.trim_silence else self._lengths
        shortest = effects.changed_length(int(kept.min()), max(*factors, 1.0))
        return shortest, effects.changed_length(int(self._lengths.max()), min(*factors, 1.0))

    def draw(self, samples: Int16, clip: int, epoch: int) -> Waveform:
        """Draw the waveform of a clip.

        Args:
            samples: `(samples,)`, of the whole clip.
            clip: Its place among the training clips.
            epoch: From 0.

        Returns:
            `(samples,)` float32, full scale 1.0.
        """
        starts, stops, factors = (column[clip] for column in self.sections(epoch))
        generator = seeded_generator((self.seed, epoch, clip))
        with single_threaded():
            waveform = torch.from_numpy(to_float(samples[starts:stops]))
            waveform = self.change_voice(waveform, float(factors), generator)
            waveform = self.add_surroundings(waveform, generator)
            waveform = self.transmit(waveform, generator)
            return self.mask(waveform, generator).numpy()

    def change_voice(self, waveform: torch.Tensor, speed: float, generator: torch.Generator) -> torch.Tensor:
        """Change speed and pitch."""
        options = self.options
        waveform = effects.change_speed(waveform, speed)
        if happens(options.pitch_probability, generator):
            reach = options.pitch_semitones
            waveform = effects.shift_pitch(waveform, draw_between((-reach, reach), generator))
        return waveform

    def add_surroundings(self, waveform: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Add a room, noise and another distance to the microphone."""
        options, samples = self.options, len(waveform)
        if happens(options.room_probability, generator):
            waveform = effects.reverberate(waveform, self.draw_response(generator))
        if happens(options.noise_probability, generator):
            noise = (
                coloured_noise(samples, draw_between((0.0, BROWNEST), generator), generator)
                if self._noises is None
                else self._noises.draw(samples, generator)
            )
            waveform = effects.add_noise(waveform, noise, draw_between(options.noise_snr, generator))
        if options.gain_decibels:
            reach = options.gain_decibels
            waveform = effects.scale_level(waveform, draw_between((-reach, reach), generator))
        return waveform

    def draw_response(self, generator: torch.Generator) -> torch.Tensor:
        if self._responses is not None:
            return self._responses.draw(generator)
        time = draw_between(self.options.reverberation_time, generator)
        return simulate_response(time, draw_between(self.options.direct_to_reverberant, generator), generator)

    def transmit(self, waveform: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Send a waveform over a telephone line."""
        if happens(self.options.telephone_probability, generator):
            waveform = effects.limit_to_telephone_band(waveform)
        if happens(self.options.mu_law_probability, generator):
            waveform = effects.quantize_mu_law(waveform)
        return waveform

    def mask(self, waveform: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Set sections to zero."""
        for _ in range(self.options.time_masks):
            longest = min(len(waveform), round(self.options.time_mask_seconds * SAMPLE_RATE))
            length = int(draw_between((0, longest), generator))
            start = int(draw_between((0, len(waveform) - length), generator))
            waveform[start : start + length] = 0
        return waveform


def open_folders(options: Augment) -> tuple[NoiseFolder | None, ResponseFolder | None]:
    """Open the folders of noises and of responses that are in use.

    Raises:
        UserError: One of them is not there, or has no readable recording.
    """
    noises = NoiseFolder(Path(options.noise_folder)) if options.noise_folder and options.noise_probability else None
    responses = (
        ResponseFolder(Path(options.response_folder)) if options.response_folder and options.room_probability else None
    )
    return noises, responses


def seeded_generator(key: Sequence[int]) -> torch.Generator:
    """Return a generator of its own for whole numbers."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(seed)


def happens(probability: float, generator: torch.Generator) -> bool:
    return probability > 0 and float(torch.rand((), generator=generator)) < probability


def draw_between(bounds: Sequence[float], generator: torch.Generator) -> float:
    """Draw a number between two bounds, all equally likely."""
    low, high = bounds
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


@contextmanager
def single_threaded() -> Iterator[None]:
    """Compute with one thread, as a worker of a data loader does: several round a Fourier transform otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
