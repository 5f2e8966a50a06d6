from dataclasses import asdict

import pytest
from conftest import composed

from ser.config.augment import SWITCHES, settings_in_effect
from ser.reports.augmentation_text import EFFECTS, describe_augmentation


def words(*overrides):
    return " ".join(describe_augmentation(composed("train", *overrides).augment.portable()))


def test_every_effect_has_its_words():
    assert EFFECTS.keys() == SWITCHES.keys()
    for switch in SWITCHES:
        assert words(f"augment.{switch}=1").startswith("Only training clips were augmented: ")


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["augment.noise_probability=0.25"], "noise at 10 to 30 dB (25 % of the clips)."),
        (["augment.noise_probability=1", "augment.noise_folder=/data/musan"], "noise from musan at 10 to 30 dB."),
        (["augment.room_probability=0.3"], "simulated rooms with 0.2 to 0.8 s of reverberation (30 % of the clips)."),
        (["augment.room_probability=1", "augment.response_folder=/data/rirs"], "rooms from rirs."),
        (["augment.mixup_alpha=0.2", "augment.mix_probability=0.5"], "mixup with alpha 0.2 (50 % of the clips)."),
        (["augment.cutmix_alpha=1"], "CutMix with alpha 1."),
        (["augment.time_masks=1", "augment.trim_silence=0.5"],
         "up to 50 % of the silence at each end cut off; 1 section of up to 0.2 s set to zero."),
    ],
)  # fmt: skip
def test_the_words_have_the_numbers(overrides, text):
    assert words(*overrides) == f"Only training clips were augmented: {text}"


def test_nothing_is_said_where_nothing_was_augmented_and_of_an_earlier_release():
    assert describe_augmentation(settings_in_effect(asdict(composed("train").augment))) == []
    assert describe_augmentation({}) == []
