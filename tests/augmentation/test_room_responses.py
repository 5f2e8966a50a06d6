import math

import numpy as np
import pytest
import soundfile
import torch

from ser.augmentation.rooms import ResponseFolder, simulate_response
from ser.errors import UserError

RATE = 16_000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def measure_reverberation_time(tail):
    """Seconds, by Schroeder's backward integration (1965): the line through -5 and -25 dB, drawn to -60 dB."""
    energy = tail.double().square().flip(0).cumsum(0).flip(0)
    decay = 10 * torch.log10(energy / energy[0])
    place = [int((decay > -level).sum()) for level in (5, 25)]
    return 3 * (place[1] - place[0]) / RATE


@pytest.mark.parametrize("reverberation_time", [0.2, 0.5, 1.0])
def test_the_power_of_a_simulated_room_falls_by_60_decibels_in_its_reverberation_time(reverberation_time):
    response = simulate_response(reverberation_time, 0.0, generator())
    assert len(response) == round(reverberation_time * RATE) + 1
    assert measure_reverberation_time(response[1:]) == pytest.approx(reverberation_time, rel=0.05)


@pytest.mark.parametrize("ratio", [-3.0, 0.0, 10.0])
def test_the_direct_sound_has_its_ratio_to_the_reverberation(ratio):
    response = simulate_response(0.4, ratio, generator())
    assert response.abs().argmax() == 0
    measured = 10 * math.log10(response[0] ** 2 / response[1:].square().sum())
    assert measured == pytest.approx(ratio, abs=1e-3)


def test_a_simulated_room_follows_its_generator_alone():
    state = torch.get_rng_state()
    assert torch.equal(simulate_response(0.3, 3, generator(1)), simulate_response(0.3, 3, generator(1)))
    assert not torch.equal(simulate_response(0.3, 3, generator(1)), simulate_response(0.3, 3, generator(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_recorded_response_is_cut_two_seconds_after_its_direct_sound(tmp_path):
    samples = np.full(4 * RATE, 0.01)
    samples[100] = 0.9
    soundfile.write(tmp_path / "hall.wav", samples, RATE, subtype="PCM_16")
    response = ResponseFolder(tmp_path).draw(generator())
    assert len(response) == 100 + 2 * RATE
    assert response.argmax() == 100


def test_responses_are_drawn_from_all_of_a_folder(tmp_path):
    for name, level in (("a/small.wav", 0.25), ("b/large.flac", 0.5)):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / name, np.full(100, level), RATE, subtype="PCM_16")
    responses, draws = ResponseFolder(tmp_path), generator()
    assert {round(float(responses.draw(draws).max()), 3) for _ in range(20)} == {0.25, 0.5}


def test_a_missing_folder_of_responses_is_refused_in_a_line(tmp_path):
    with pytest.raises(UserError, match=r"augment.response_folder=.*nowhere: no such folder"):
        ResponseFolder(tmp_path / "nowhere")
