import math

import numpy as np
import pytest
import torch

from ser.augmentation import effects
from ser.augmentation.noise import coloured_noise

RATE = 16_000


def sine(frequency, seconds=2.0, level=0.3):
    return level * torch.sin(2 * math.pi * frequency * torch.arange(int(seconds * RATE)) / RATE)


def noise(seconds=2.0, seed=0):
    return 0.1 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def loudest_frequency(waveform):
    """Hertz, of the largest magnitude of the spectrum."""
    middle = waveform[1000:-1000]
    spectrum = torch.fft.rfft(middle * torch.hann_window(len(middle)), 2**18).abs()
    return float(spectrum.argmax()) * RATE / 2**18


def decibels(power):
    return 10 * math.log10(float(power))


EFFECTS = {
    "speed": lambda waveform: effects.change_speed(waveform, 1.1),
    "pitch": lambda waveform: effects.shift_pitch(waveform, 2),
    "level": lambda waveform: effects.scale_level(waveform, -6),
    "noise": lambda waveform: effects.add_noise(waveform, noise(len(waveform) / RATE), 10),
    "room": lambda waveform: effects.reverberate(waveform, torch.tensor([0.0, 1.0, 0.5])),
    "telephone": effects.limit_to_telephone_band,
    "mu_law": effects.quantize_mu_law,
}


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS.keys())
def test_an_effect_gives_a_new_float32_waveform_and_draws_nothing(effect):
    waveform, state = sine(440), torch.get_rng_state()
    before = waveform.clone()
    first, second = effect(waveform), effect(waveform)
    assert first.dtype == torch.float32
    assert torch.equal(first, second)
    assert torch.equal(waveform, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS.keys())
@pytest.mark.parametrize("samples", [400, 511, 1600])
def test_silence_and_short_clips_stay_finite(effect, samples):
    assert effect(torch.zeros(samples)).isfinite().all()
    assert effect(noise(samples / RATE)).isfinite().all()


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.02, 1.1])
def test_speed_multiplies_frequencies_and_divides_the_duration(factor):
    waveform = sine(440)
    faster = effects.change_speed(waveform, factor)
    assert len(faster) == effects.changed_length(len(waveform), factor) == math.ceil(len(waveform) / factor)
    assert loudest_frequency(faster) == pytest.approx(440 * factor, rel=1e-3)
    assert faster[1000:-1000].std() == pytest.approx(float(waveform.std()), rel=0.01)


@pytest.mark.parametrize("change", [lambda waveform: effects.change_speed(waveform, 0.8),
                                    lambda waveform: effects.shift_pitch(waveform, 12 * math.log2(0.8))])  # fmt: skip
def test_a_slower_or_lower_clip_has_no_images_of_its_highest_frequencies(change):
    power = torch.fft.rfft(change(noise())).abs().square()
    frequencies = torch.linspace(0, RATE / 2, len(power))
    below, above = power[(frequencies > 5000) & (frequencies < 6000)], power[frequencies > 6800]  # 6.4 kHz is 0.8 x 8
    assert decibels(above.mean() / below.mean()) < -35


def test_speed_one_changes_nothing():
    assert torch.equal(effects.change_speed(noise(), 1.0), noise())


@pytest.mark.parametrize("semitones", [-3, -0.5, 0.25, 2, 4])
def test_pitch_multiplies_frequencies_by_a_twelfth_root_and_keeps_the_duration(semitones):
    higher = effects.shift_pitch(sine(440), semitones)
    assert len(higher) == 2 * RATE
    measured = 12 * math.log2(loudest_frequency(higher) / 440)
    assert measured == pytest.approx(semitones, abs=0.1)
    assert decibels(higher.square().mean() / sine(440).square().mean()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("gain", [-12.0, 6.0])
def test_level_changes_the_power_by_decibels(gain):
    power = effects.scale_level(noise(), gain).square().mean() / noise().square().mean()
    assert decibels(power) == pytest.approx(gain, abs=1e-4)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
@pytest.mark.parametrize("level", [1e-3, 10.0])
def test_noise_has_the_ratio_to_the_clip_whatever_its_own_level(snr, level):
    waveform = sine(440)
    added = effects.add_noise(waveform, level * noise(), snr) - waveform
    assert decibels(waveform.square().sum() / added.square().sum()) == pytest.approx(snr, abs=0.01)


def test_silent_noise_adds_nothing():
    assert torch.equal(effects.add_noise(sine(440), torch.zeros(2 * RATE), 10), sine(440))


def test_a_room_is_the_convolution_with_its_response_from_the_direct_sound_on():
    waveform = noise(0.5)
    response = torch.tensor([0.01, 0.0, 1.0, 0.0, -0.5, 0.25])
    wet = effects.reverberate(waveform, response).double().numpy()
    expected = np.convolve(waveform.double().numpy(), response.double().numpy())[2 : 2 + len(waveform)]
    expected *= np.sqrt((waveform.double().numpy() ** 2).mean() / (expected**2).mean())
    assert np.abs(wet - expected).max() < 1e-6


@pytest.mark.parametrize("delay", [0, 3, 800])
def test_a_room_keeps_length_level_and_the_place_of_the_direct_sound(delay):
    waveform = noise()
    impulse = torch.zeros(1000)
    impulse[delay] = -0.2
    wet = effects.reverberate(waveform, impulse)
    assert torch.allclose(wet, -waveform, atol=1e-5)


def test_the_telephone_band_passes_300_to_3400_hertz():
    waveform = coloured_noise(4 * RATE, 0, torch.Generator().manual_seed(0))
    narrow = effects.limit_to_telephone_band(waveform)
    frequencies = torch.fft.rfftfreq(4 * RATE, 1 / RATE)
    window = torch.hann_window(4 * RATE)
    gain = (torch.fft.rfft(narrow * window).abs().square(), torch.fft.rfft(waveform * window).abs().square())

    def level(low, high):
        band = (frequencies >= low) & (frequencies <= high)
        return decibels(gain[0][band].sum() / gain[1][band].sum())

    assert level(305, 3395) == pytest.approx(0, abs=0.05)
    assert level(0, 195) < -50
    assert level(4005, 8000) < -50
    assert level(248, 252) == pytest.approx(-6, abs=0.5)


def test_the_telephone_band_delays_nothing_and_wraps_nothing_around():
    waveform = torch.zeros(RATE)
    waveform[-1] = 1.0
    narrow = effects.limit_to_telephone_band(waveform)
    assert narrow.argmax() == RATE - 1
    assert narrow[: RATE // 2].abs().max() < 1e-3


def test_mu_law_follows_the_closed_formula():
    waveform = noise()
    encoded = np.sign(waveform.numpy()) * np.log1p(255 * np.abs(waveform.double().numpy())) / np.log(256)
    quantised = np.floor((encoded + 1) / 2 * 255 + 0.5) / 255 * 2 - 1
    expected = np.sign(quantised) * (256 ** np.abs(quantised) - 1) / 255
    found = effects.quantize_mu_law(waveform)
    assert (np.abs(found.numpy() - expected) < 1e-5).mean() > 0.999  # float32 rounds a few to the next level
    assert len(found.unique()) <= 256
    assert decibels(waveform.square().sum() / (found - waveform).square().sum()) > 30


def test_mu_law_clips_at_full_scale():
    assert torch.equal(effects.quantize_mu_law(torch.tensor([-3.0, 3.0])), torch.tensor([-1.0, 1.0]))
