"""Effects on waveforms: pure functions of float32 `(samples,)` at 16 kHz, full scale 1.0.

None draws a random number and none changes its input. Nothing is clipped at full scale, as float samples need not be.
"""

import math
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import next_fast_len
from torch.nn import functional
from torchaudio.functional import add_noise as add_at_ratio
from torchaudio.functional import fftconvolve, mu_law_decoding, mu_law_encoding, phase_vocoder, resample

from ser.data.audio import SAMPLE_RATE

LARGEST_TERM = 100
"""Largest denominator of a ratio of rates: a resampling has a filter for each unit of it."""
ZERO_CROSSINGS = 16
"""Of the resampling filter on each side. With the default of 6, a slower clip has images of its highest frequencies."""
WINDOW, HOP = 512, 128
"""Samples of the phase vocoder: 32 ms, the period of the lowest voice three times, every 8 ms."""
TELEPHONE_BAND = (200.0, 300.0, 3400.0, 4000.0)
"""Hertz: nothing passes below the first and above the last, everything between the second and the third. The band of
ITU-T G.712 at the 8 kHz of a telephone line."""
MU_LAW_LEVELS = 256

Count = TypeVar("Count", int, npt.NDArray[np.int64])


def change_speed(waveform: torch.Tensor, factor: float) -> torch.Tensor:
    """Play a waveform faster or slower: `y(t) = x(factor * t)`, by resampling; duration and pitch change together.

    Ko et al. 2015, Audio Augmentation for Speech Recognition (factors 0.9, 1.0, 1.1).

    Args:
        waveform: `(samples,)`.
        factor: Times as fast; taken as the nearest fraction with a denominator of at most 100.

    Returns:
        `(ceil(samples / factor),)`; all frequencies are multiplied by the factor.
    """
    ratio = Fraction(factor).limit_denominator(LARGEST_TERM)
    return resample(waveform, ratio.numerator, ratio.denominator, lowpass_filter_width=ZERO_CROSSINGS)


def changed_length(samples: Count, factor: float) -> Count:
    """Return the samples of a clip, or of each of several, after `change_speed`.

    >>> changed_length(1000, 1.1), len(change_speed(torch.zeros(1000), 1.1))
    (910, 910)
    """
    ratio = Fraction(factor).limit_denominator(LARGEST_TERM)
    return -(-samples * ratio.denominator // ratio.numerator)


def shift_pitch(waveform: torch.Tensor, semitones: float) -> torch.Tensor:
    """Shift the pitch and keep the duration: all frequencies are multiplied by `2 ** (semitones / 12)`.

    A phase vocoder stretches the waveform (Flanagan and Golden 1966), and resampling brings it back to its duration.
    The vocoder loses power where a tone lies between two of its bands; the result has the mean power of the clip.

    Args:
        waveform: `(samples,)`.
        semitones: Up or, negative, down; the ratio of frequencies is taken as the nearest fraction with a denominator
            of at most 100, less than 0.09 semitones away.
    """
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(LARGEST_TERM)
    if ratio == 1 or len(waveform) < WINDOW:
        return waveform.clone()
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True)
    advance = torch.linspace(0, math.pi * HOP, len(spectrum))[:, None]  # radians from one window to the next
    stretched = torch.istft(
        phase_vocoder(spectrum, float(1 / ratio), advance),
        WINDOW,
        HOP,
        window=window,
        length=math.ceil(len(waveform) * ratio),
    )
    return keep_power(change_speed(stretched, float(ratio))[: len(waveform)], waveform)


def scale_level(waveform: torch.Tensor, decibels: float) -> torch.Tensor:
    """Change the level: `y = x * 10 ** (decibels / 20)`; an encoder that normalises its input undoes it."""
    return waveform * 10 ** (decibels / 20)


def add_noise(waveform: torch.Tensor, noise: torch.Tensor, snr: float) -> torch.Tensor:
    """Add noise at a signal-to-noise ratio: `y = x + a n`, `a = sqrt(sum(x^2) / sum(n^2) * 10 ** (-snr / 10))`.

    Snyder et al. 2015, MUSAN. Silence is part of the sums: in a clip that is half silent, the ratio within the speech
    is 3 dB higher.

    Args:
        waveform: `(samples,)`.
        noise: `(samples,)`, of any level; digital silence adds nothing.
        snr: Decibels.
    """
    if not noise.any():
        return waveform.clone()
    return add_at_ratio(waveform, noise, torch.tensor(snr, dtype=waveform.dtype))


def reverberate(waveform: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """Play a waveform in a room: `y = g (x * h)`, the convolution with the impulse response of the room.

    Ko et al. 2017, A Study on Data Augmentation of Reverberant Speech. The direct sound, the largest magnitude of the
    response, keeps its place; what fades after the end of the clip is cut off; `g` keeps the mean power of the clip.

    Args:
        waveform: `(samples,)`.
        response: `(any number of samples,)`, of any level.

    Returns:
        `(samples,)`.
    """
    samples, direct = len(waveform), int(response.abs().argmax())
    full = samples + len(response) - 1
    # A convolution of a length with a large prime factor takes five times as long.
    response = functional.pad(response, (0, next_fast_len(full, real=True) - full))
    return keep_power(fftconvolve(waveform, response)[direct : direct + samples], waveform)


def keep_power(changed: torch.Tensor, waveform: torch.Tensor) -> torch.Tensor:
    """Scale a changed waveform to the mean power of the original one."""
    power = changed.square().mean()
    return changed * (waveform.square().mean() / power).sqrt() if power > 0 else changed


def limit_to_telephone_band(waveform: torch.Tensor) -> torch.Tensor:
    """Pass 300 to 3400 Hz, the band of a telephone (ITU-T G.712): `Y(f) = H(f) X(f)`, without a delay.

    `H` is 0 up to 200 Hz, 1 from 300 to 3400 Hz, 0 from 4000 Hz on, and half a period of a cosine between them.

    Args:
        waveform: `(samples,)`.
    """
    stop, low, high, end = TELEPHONE_BAND
    length = next_fast_len(len(waveform) + round(2 * SAMPLE_RATE / (low - stop)), real=True)
    frequencies = torch.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    rise = ((frequencies - stop) / (low - stop)).clamp(0, 1)
    fall = ((end - frequencies) / (end - high)).clamp(0, 1)
    gain = (1 - torch.cos(math.pi * rise)) * (1 - torch.cos(math.pi * fall)) / 4
    return torch.fft.irfft(torch.fft.rfft(waveform, length) * gain, length)[: len(waveform)]


def quantize_mu_law(waveform: torch.Tensor) -> torch.Tensor:
    """Quantise to the 256 levels of mu-law, as a telephone line does (ITU-T G.711, its continuous curve).

    `y = F^-1(round((F(x) + 1) / 2 * 255) / 255 * 2 - 1)`, `F(x) = sign(x) ln(1 + 255 |x|) / ln(256)`; what is beyond
    full scale is clipped.

    Args:
        waveform: `(samples,)`.
    """
    codes = mu_law_encoding(waveform.clamp(-1, 1), MU_LAW_LEVELS)
    return mu_law_decoding(codes, MU_LAW_LEVELS).to(waveform.dtype)
