"""Where the speech of a clip begins and ends.

RAVDESS was cut at video frames: of 3.70 s a clip has about 0.9 s of silence before its sentence and 0.85 s after it.
This file imports nothing of `ser`: it goes along with an exported model.
"""

import numpy as np
import numpy.typing as npt

FRAME = 16_000 // 50
"""Samples whose energy is measured together: 20 ms, more than a period of the lowest voice."""
LOUD = 5
"""Frames: the level of a clip is what its loudest 0.1 s reach. A percentile would fall with the share of silence, the
maximum rises with a click."""
BELOW = 35.0
"""Decibels below that level at which speech counts as over. The noise floor of RAVDESS lies 50 to 70 dB below it (10th
percentile of a clip's frames, median of each actor) and 40 in the worst clip, while the levels of its clips lie 48 dB
apart. A mean of 2.15 s remains, 1.96 s at 25 dB and 2.31 s at 40 dB."""
STEADY = 2
"""Successive frames it takes: a click seldom touches two."""
MARGIN = 16_000 // 10
"""Samples kept on both sides, 0.1 s: a stop before the first vowel, the fading of the last one."""
SILENCE = 33
"""Magnitude of a clip that counts as silent, as in `ser.data.audio`."""


def speech_span(samples: npt.NDArray[np.int16]) -> tuple[int, int]:
    """Find a clip's speech by the energy of its frames, against that of its own loudest ones.

    Breath and sobs are speech here: they tell of an emotion. So is whatever stands between the first and the last
    sound, pauses included.

    Args:
        samples: `(samples,)` at 16 kHz.

    Returns:
        Start and stop, so that `samples[start:stop]` is the speech with a margin of at most 0.1 s on both sides. All
        of a clip that is silent or shorter than two frames; never less than two frames.
    """
    whole = (0, len(samples))
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    if len(frames) < STEADY:
        return whole
    power = np.einsum("ij,ij->i", frames, frames) / FRAME
    loud = np.partition(power, -min(LOUD, len(power)))[-min(LOUD, len(power))]
    if loud <= SILENCE**2:
        return whole
    sounding = power > loud / 10 ** (BELOW / 10)
    steady = np.flatnonzero(np.convolve(sounding, np.ones(STEADY, dtype=int), "valid") == STEADY)
    if not len(steady):
        return whole
    start, stop = int(steady[0]) * FRAME, int(steady[-1] + STEADY) * FRAME
    return max(0, start - MARGIN), min(len(samples), stop + MARGIN)


def cut_silence(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return the speech of a clip, `samples[start:stop]` of `speech_span`."""
    return samples[slice(*speech_span(samples))]
