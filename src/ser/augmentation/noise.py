"""Noise to add to waveforms: coloured noise made here, or recordings of the user's."""

from pathlib import Path

import torch
from scipy.fft import next_fast_len

from ser.augmentation.folders import AudioFolder, draw_place, repeat_to
from ser.data.audio import SAMPLE_RATE, SILENCE

LOWEST = 20.0
"""Hertz; below it the spectrum is flat; else nearly all power of brown noise would be inaudible."""
ATTEMPTS = 10
"""Sections that are drawn until one has a sound."""


def coloured_noise(samples: int, exponent: float, generator: torch.Generator) -> torch.Tensor:
    """Draw Gaussian noise whose power spectral density is proportional to `1 / max(f, 20 Hz) ** exponent`.

    White noise is shaped in the frequency domain (Timmer and König 1995, On generating power law noise).

    Args:
        samples: Their number.
        exponent: 0 for white, 1 for pink, 2 for brown noise.
        generator: Of the random numbers.

    Returns:
        `(samples,)` of mean power 1 (expected; exact only for infinitely many samples).
    """
    white = torch.randn(next_fast_len(samples, real=True), generator=generator)
    if exponent == 0:
        return white[:samples]
    frequencies = torch.fft.rfftfreq(len(white), 1 / SAMPLE_RATE).clamp(min=LOWEST)
    shape = frequencies ** (-exponent / 2)
    shape /= shape.square().mean().sqrt()
    return torch.fft.irfft(torch.fft.rfft(white) * shape, len(white))[:samples]


class NoiseFolder(AudioFolder):
    """Noises of a folder in any layout, such as MUSAN's (Snyder et al. 2015)."""

    def __init__(self, folder: Path, key: str = "augment.noise_folder") -> None:
        """List the recordings; see `AudioFolder`."""
        super().__init__(folder, key)

    def draw(self, samples: int, generator: torch.Generator) -> torch.Tensor:
        """Draw a section that is not silent (nothing above -60 dB of full scale); a short recording is repeated.

        Returns:
            `(samples,)`; zeros where ten drawn sections are silent.
        """
        for _ in range(ATTEMPTS):
            piece = self.piece(draw_place(len(self), generator))
            if piece is None:
                continue
            start = draw_place(max(len(piece) - samples, 0) + 1, generator)
            section = repeat_to(piece, samples, start)
            if section.abs().max() * 32768 >= SILENCE:
                return section
        return torch.zeros(samples)
