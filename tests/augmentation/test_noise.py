import math
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone

from ser.augmentation import folders
from ser.augmentation.noise import NoiseFolder, coloured_noise
from ser.errors import UserError

RATE = 16_000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_the_power_of_coloured_noise_falls_with_the_frequency_by_its_exponent(exponent):
    noise = coloured_noise(20 * RATE, exponent, generator())
    power = torch.fft.rfft(noise).abs().square()
    frequencies = torch.fft.rfftfreq(20 * RATE, 1 / RATE)
    edges = [100 * 2**octave for octave in range(7)]
    densities = [
        10 * math.log10(power[(frequencies >= low) & (frequencies < high)].mean()) for low, high in pairwise(edges)
    ]
    slopes = np.diff(densities)  # decibels an octave
    assert slopes == pytest.approx(np.full(5, -exponent * 10 * math.log10(2)), abs=0.4)


@pytest.mark.parametrize("exponent", [0, 0.7, 1, 2])
@pytest.mark.parametrize("samples", [1600, 59_999])
def test_coloured_noise_has_its_length_and_power_one(exponent, samples):
    drawn = [coloured_noise(samples, exponent, generator(seed)) for seed in range(40)]
    assert {len(noise) for noise in drawn} == {samples}
    assert torch.stack(drawn).square().mean() == pytest.approx(1, rel=0.2)


def test_coloured_noise_follows_its_generator_alone():
    state = torch.get_rng_state()
    first, second, other = (coloured_noise(1000, 1, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def write(folder, name, samples, rate=RATE):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def test_noises_come_from_every_recording_below_a_folder(tmp_path):
    write(tmp_path, "musan/noise/free-sound/noise-1.wav", np.full(2 * RATE, 0.25))
    write(tmp_path, "musan/music/fma/music-1.flac", np.full(2 * RATE, 0.5))
    (tmp_path / "musan/README").write_text("no audio")
    noises, draws = NoiseFolder(tmp_path), generator()
    levels = {round(float(noises.draw(800, draws)[0]), 3) for _ in range(20)}
    assert levels == {0.25, 0.5}


def test_a_drawn_section_is_a_part_of_its_recording(tmp_path):
    ramp = np.arange(RATE) / 32768
    write(tmp_path, "ramp.wav", ramp)
    noises, draws = NoiseFolder(tmp_path), generator()
    sections = [noises.draw(800, draws) for _ in range(5)]
    starts = {round(float(section[0]) * 32768) for section in sections}
    assert len(starts) == 5
    for section in sections:
        start = round(float(section[0]) * 32768)
        assert np.array_equal((section * 32768).round().int().numpy(), np.arange(start, start + 800))


def test_a_short_recording_is_repeated(tmp_path):
    write(tmp_path, "short.wav", np.arange(100, 400) / 32768)
    section = (NoiseFolder(tmp_path).draw(1000, generator()) * 32768).round().int().tolist()
    assert section == [*range(100, 400)] * 3 + [*range(100, 200)]


def test_a_recording_of_another_rate_is_resampled(tmp_path):
    write(tmp_path, "tone.wav", tone(1.0, 44_100, 1000.0), 44_100)
    section = NoiseFolder(tmp_path).draw(RATE, generator())
    assert torch.fft.rfft(section).abs().argmax() == 1000


def test_silent_sections_are_not_used(tmp_path):
    samples = np.concatenate([np.zeros(9 * RATE), tone(20.0)])
    write(tmp_path, "noise.wav", samples)
    write(tmp_path, "silence.wav", np.zeros(RATE))
    noises = NoiseFolder(tmp_path)
    assert all(noises.draw(RATE, generator(seed)).any() for seed in range(10))


def test_a_folder_of_silence_gives_zeros(tmp_path):
    write(tmp_path, "silence.wav", np.zeros(RATE))
    assert not NoiseFolder(tmp_path).draw(500, generator()).any()


def test_of_a_long_recording_a_piece_is_decoded_and_what_is_kept_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "PIECE", 1.0)
    monkeypatch.setattr(folders, "KEPT_BYTES", 3 * RATE * 2)
    levels = np.repeat(np.arange(1, 11) / 20, RATE)
    write(tmp_path, "long.wav", levels)
    noises = NoiseFolder(tmp_path)
    assert len(noises) == 10
    for index in [*range(10), 0]:
        piece = noises.piece(index)
        assert len(piece) == RATE
        assert piece[0] == pytest.approx(levels[index * RATE], abs=1e-4)
        assert noises._bytes == sum(kept.nbytes for kept in noises._kept.values()) <= 3 * RATE * 2


def test_a_damaged_recording_is_left_out_with_a_warning(tmp_path, caplog):
    write(tmp_path, "good.wav", tone(1.0))
    (tmp_path / "damaged.wav").write_bytes(b"RIFF....WAVEjunk")
    (tmp_path / "empty.mp3").write_bytes(b"")
    noises = NoiseFolder(tmp_path)
    assert len(noises) == 1
    assert "damaged.wav is left out" in caplog.text
    assert "empty.mp3 is left out" in caplog.text


@pytest.mark.parametrize("content", [None, b"RIFF....WAVEjunk"])
def test_a_folder_without_a_readable_recording_is_refused_in_a_line(tmp_path, content):
    if content:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=r"augment.noise_folder=.*: no readable recording below it \(.*wav"):
        NoiseFolder(tmp_path)


def test_a_missing_folder_is_refused_in_a_line(tmp_path):
    with pytest.raises(UserError, match=r"augment.noise_folder=.*nowhere: no such folder"):
        NoiseFolder(tmp_path / "nowhere")
