"""Averaging over perturbed copies of a clip at test time (test-time augmentation)."""

from collections.abc import Sequence

import numpy as np
import torch
import xxhash

from ser.augmentation.effects import add_noise, change_speed, scale_level
from ser.augmentation.noise import coloured_noise
from ser.data.audio_file import Int16
from ser.evaluation.samples import to_int16, to_waveform
from ser.evaluation.scoring import PredictClips
from ser.models.arrays import Probabilities

SPEEDS = tuple(number / 50 for number in range(45, 56))
"""0.9 to 1.1."""
LEVELS = (-6.0, 6.0)
"""Decibels."""
RATIOS = (30.0, 40.0)
"""Decibels of signal to pink noise."""
AT_ONCE = 256
"""Clips whose copies are in memory at a time."""


def describe_perturbed_copies(copies: int) -> list[str]:
    """Return a sentence where predictions are means over copies."""
    return [
        f"Each prediction is the mean of the probabilities of the clip and of {copies} perturbed "
        f"cop{'ies' if copies > 1 else 'y'} of it (speed {SPEEDS[0]:g} to {SPEEDS[-1]:g}, level {LEVELS[0]:+g} to "
        f"{LEVELS[1]:+g} dB, pink noise at {RATIOS[0]:g} to {RATIOS[1]:g} dB)."
    ] * (copies > 0)


def perturb(samples: Int16, number: int) -> Int16:
    """Return a perturbed copy of a clip: speed, level and a little noise are changed.

    The random numbers come from the samples and the number of the copy, so that a prediction depends neither on the
    other clips nor on their order.
    """
    key = xxhash.xxh3_64_intdigest(np.ascontiguousarray(samples).tobytes())
    draw = np.random.default_rng([key, number])
    waveform = change_speed(to_waveform(samples), float(draw.choice(SPEEDS)))
    noise = coloured_noise(len(waveform), 1.0, torch.Generator().manual_seed(int(draw.integers(2**62))))
    noisy = add_noise(waveform, noise, float(draw.uniform(*RATIOS)))
    return to_int16(scale_level(noisy, float(draw.uniform(*LEVELS))))


def predict_with_copies(predict: PredictClips, clips: Sequence[Int16], copies: int) -> Probabilities:
    """Return the mean of the probabilities over each clip and its copies, `(clips, emotions)`.

    Args:
        predict: predicts clips.
        clips: 16 kHz clips, each `(samples,)`.
        copies: of each clip; 0: the clip alone.
    """
    if not copies:
        return predict(clips)
    blocks = []
    for start in range(0, len(clips), AT_ONCE):
        some = clips[start : start + AT_ONCE]
        perturbed = (predict([perturb(clip, number) for clip in some]) for number in range(1, copies + 1))
        blocks.append(np.mean([predict(some), *perturbed], axis=0))
    return np.concatenate(blocks)
