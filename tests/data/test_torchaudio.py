"""torchaudio as the oracle: what we resample with soxr, and that the two wheels of PyTorch fit each other."""

import subprocess

import numpy as np
import pytest
import torch
import torchaudio
from helpers.commands import FRESH_PYTHON

from ser.data import audio


def test_torch_torchaudio_and_transformers_import_together():
    command = "import torchaudio, torch, transformers; transformers.AutoFeatureExtractor"
    assert subprocess.run([FRESH_PYTHON, "-c", command], capture_output=True).returncode == 0


def tones(rate, seconds=1.0):
    """Forty tones that both rates can hold, int16."""
    generator = np.random.default_rng(0)
    times = np.arange(int(rate * seconds)) / rate
    frequencies = generator.uniform(100, 0.8 * min(rate, 16000) / 2, 40)
    phases = generator.uniform(0, 2 * np.pi, 40)
    waves = [
        np.sin(2 * np.pi * frequency * times + phase) for frequency, phase in zip(frequencies, phases, strict=True)
    ]
    return (400 * np.sum(waves, axis=0)).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_clips_are_resampled_as_torchaudio_does_up_to_rounding(rate):
    samples = tones(rate)
    ours = audio.resample(samples, rate)
    theirs = torchaudio.functional.resample(
        torch.from_numpy(samples.astype(np.float64)), rate, 16000, lowpass_filter_width=64, rolloff=0.9476,
        resampling_method="sinc_interp_kaiser", beta=14.77,
    ).numpy()  # fmt: skip
    assert len(ours) == len(theirs) == 16000
    middle = slice(1000, -1000)  # the two continue a clip beyond its ends in different ways
    assert np.abs(ours[middle]).max() > 2000
    assert np.abs(ours[middle] - theirs[middle]).max() < 2
