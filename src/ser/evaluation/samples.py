"""Clips of 16 bits as waveforms, and back."""

import numpy as np
import torch

from ser.data.audio_file import Int16
from ser.data.dataset import to_float

Waveform = torch.Tensor
"""float32 `(samples,)` at 16 kHz, full scale 1.0."""


def to_waveform(samples: Int16) -> Waveform:
    """Return the waveform of a clip."""
    return torch.from_numpy(to_float(samples))


def to_int16(waveform: Waveform) -> Int16:
    """Return the clip of a waveform; one that exceeds full scale is scaled down to it, and nothing is clipped."""
    values = waveform.numpy() * 32768
    peak = float(np.abs(values).max(initial=0.0))
    return np.rint(values * min(1.0, 32767 / max(peak, 1.0))).astype(np.int16)
