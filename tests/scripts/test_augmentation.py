"""The script that shows and times the augmentation: every effect has its panel, its sound and its row."""

import sys
from pathlib import Path

import pytest
import soundfile
from conftest import tone

from ser.config.augment import SWITCHES


@pytest.fixture
def augmentation(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scripts"))
    import augmentation

    monkeypatch.setattr(augmentation, "TIMED", (2, 0.5))
    return augmentation


def test_a_recording_gets_a_figure_and_the_sound_of_every_effect(augmentation, tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", tone(0.5, frequency=400.0), 16000)
    out = tmp_path / "out"
    words = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["augmentation.py", *words])
    augmentation.main()
    names = [*augmentation.list_effects(), "original", "mixup 0.3", "light 0", "strong 1"]
    for stem in ("a", "b"):
        assert (out / f"{stem}.png").stat().st_size > 10_000
        assert all((out / f"{stem}-{name.replace(' ', '_')}.wav").is_file() for name in names)
    assert soundfile.info(out / "a-speed_0.9.wav").frames == pytest.approx(8000 / 0.9, abs=1)
    printed = capsys.readouterr().out
    assert all(f"| {name} " in printed for name in augmentation.list_effects())
    assert "augment=strong, mean of draws" in printed


def test_no_effect_of_a_single_clip_is_missing(augmentation):
    kinds = " ".join(augmentation.list_effects())
    words = {"speed": "speed", "pitch": "pitch", "gain": "level", "noise": "white", "room": "room",
             "telephone": "telephone", "mu": "mu-law"}  # fmt: skip
    drawn_with_light_or_strong = {"trim", "time", "mixup", "cutmix"}
    for switch in SWITCHES:
        kind = switch.split("_")[0]
        assert kind in drawn_with_light_or_strong or words[kind] in kinds
