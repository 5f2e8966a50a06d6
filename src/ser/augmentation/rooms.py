"""Impulse responses of rooms: simulated ones, or recordings of the user's."""

import math
from pathlib import Path

import torch

from ser.augmentation.folders import AudioFolder, draw_place
from ser.data.audio import SAMPLE_RATE

LONGEST = 2.0
"""Seconds of a recorded response after its direct sound; later than that it has faded."""


def simulate_response(
    reverberation_time: float, direct_to_reverberant: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw the impulse response of a room: a direct sound, then noise that decays exponentially.

    `h(0) = 1`, `h(t) = g n(t) exp(-3 ln(10) t / T)`, with white Gaussian noise `n` and reverberation time `T`, in which
    the power falls by 60 dB. `g` makes `10 log10(h(0)^2 / sum(h(t > 0)^2))` the direct-to-reverberant ratio. Polack
    1988, La transmission de l'énergie sonore dans les salles (thesis, Université du Maine).

    Args:
        reverberation_time: Seconds: 0.2 a furnished room, 0.5 a class room, 1 a hall.
        direct_to_reverberant: Decibels; smaller further away from the speaker.
        generator: Of the random numbers.

    Returns:
        `(16000 * reverberation_time + 1,)`.
    """
    count = round(reverberation_time * SAMPLE_RATE)
    times = torch.arange(1, count + 1) / SAMPLE_RATE
    tail = torch.randn(count, generator=generator) * torch.exp(-3 * math.log(10) / reverberation_time * times)
    tail *= 10 ** (-direct_to_reverberant / 20) / tail.square().sum().sqrt()
    return torch.cat([torch.ones(1), tail])


class ResponseFolder(AudioFolder):
    """Recorded impulse responses of a folder in any layout, such as those of OpenSLR 28."""

    def __init__(self, folder: Path, key: str = "augment.response_folder") -> None:
        """List the recordings; see `AudioFolder`."""
        super().__init__(folder, key)

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Draw a response, from its beginning to 2 s after its direct sound; a unit impulse for an unusable one."""
        response = self.piece(draw_place(len(self), generator))
        if response is None:
            return torch.ones(1)
        direct = int(response.abs().argmax())
        return response[: direct + round(LONGEST * SAMPLE_RATE)]
