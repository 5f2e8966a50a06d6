"""scripts/levels.py: the score of runs at other levels of the recordings."""

import numpy as np
import pytest
import torch
from helpers.scripts import import_script
from helpers.toys import clips, saved

from ser.inference.member import open_member


@pytest.fixture
def script(monkeypatch):
    return import_script(monkeypatch, "levels")


def test_runs_are_measured_on_their_tested_clips_at_each_level(script, exported_run, data_dir, capsys):
    script.main([str(exported_run / "fold1"), "--data-dir", str(data_dir), "--decibels", "0", "-30"])
    printed = capsys.readouterr().out
    assert "as recorded" in printed
    assert "-30 dB" in printed
    assert "4 speakers" in printed


def test_a_clip_as_it_is_has_the_prediction_of_the_model(script, tmp_path):
    member, given = open_member(str(saved(tmp_path / "toy"))), clips(0.5, 0.7)
    expected = member.predict(given, 1).argmax(axis=1).tolist()
    assert script.predict(member, given) == script.predict(member, [clip / np.float32(32768) for clip in given])
    assert script.predict(member, given) == expected


def test_the_constant_of_a_group_norm_is_back_after_the_measurement(script):
    norm = torch.nn.GroupNorm(1, 4, eps=1e-5)
    quiet = 1e-4 * torch.randn(1, 4, 100)
    with script.adding_next_to_nothing(torch.nn.Sequential(norm)):
        assert norm(quiet).std().item() == pytest.approx(1, abs=0.01)
    assert norm(quiet).std().item() < 0.1


def test_samples_of_16_bits_are_clipped_at_full_scale(script):
    assert script.round_to_int16(32768 * np.array([0.5, 2.0, -2.0])).tolist() == [16384, 32767, -32768]
