from dataclasses import asdict

import pytest
import yaml
from conftest import composed

from ser.config.augment import SWITCHES, settings_in_effect
from ser.errors import UserError
from ser.runs.settings import check_same_settings, decisive_settings, to_plain


def augment(*overrides):
    return composed("train", *overrides).augment


def plain(*overrides):
    return to_plain(asdict(composed("train", *overrides)))


def test_nothing_is_augmented_by_default():
    assert augment() == augment("augment=none")
    assert not augment().changes_clips
    assert settings_in_effect(asdict(augment())) == {}


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_effect_is_turned_on_by_its_key_alone(switch):
    assert augment(f"augment.{switch}=1").changes_clips
    assert settings_in_effect(asdict(augment(f"augment.{switch}=1"))).keys() == {switch, *SWITCHES[switch]}


def test_every_key_belongs_to_an_effect():
    keys = {key for switch, details in SWITCHES.items() for key in (switch, *details)}
    assert keys == asdict(augment()).keys()


def test_strong_has_every_effect_of_light_and_more():
    light, strong = (settings_in_effect(asdict(augment(f"augment={name}"))) for name in ("light", "strong"))
    assert light.keys() < strong.keys()
    assert {"speed_probability", "gain_decibels", "noise_probability", "trim_silence"} <= light.keys()
    assert {"pitch_probability", "room_probability", "telephone_probability", "mixup_alpha"} <= strong.keys()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("augment.noise_probability=1.5", r"augment\.noise_probability=1\.5: it must be at least 0 and at most 1"),
        ("augment.speed_factors=[0.9,3]", r"augment\.speed_factors=\[0\.9, 3\.0\]: it must be at least 0\.5 and"),
        ("augment.speed_factors=[]", r"augment\.speed_factors=\[\]: give at least one speed"),
        ("augment.noise_snr=[30,10]", r"augment\.noise_snr=\[30\.0, 10\.0\]: give two numbers, the smaller one first"),
        ("augment.noise_snr=[10]", r"augment\.noise_snr=\[10\.0\]: give two numbers"),
        ("augment.reverberation_time=[0,1]", r"augment\.reverberation_time=\[0\.0, 1\.0\]: it must be above 0"),
        ("augment.time_masks=-1", r"augment\.time_masks=-1: it must be at least 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused(override, message):
    with pytest.raises(UserError, match=message):
        composed("train", override)


def test_augmentation_beside_cached_features_is_refused():
    message = "trainer.cache_features=true: the features of a clip are computed once, .*augment=none"
    with pytest.raises(UserError, match=message):
        composed("train", "augment=light", "trainer.cache_features=true")
    composed("train", "augment=none", "trainer.cache_features=true")
    composed("train", "augment=light", "trainer=fast", "trainer.cache_features=false")


def test_what_an_effect_that_is_off_would_do_decides_nothing():
    assert decisive_settings(plain()) == decisive_settings(plain("augment.noise_snr=[0,5]"))
    assert decisive_settings(plain("augment=light")) != decisive_settings(
        plain("augment=light", "augment.noise_snr=[0,5]")
    )
    without = {key: value for key, value in plain().items() if key != "augment"}
    assert decisive_settings(without) == decisive_settings(plain())


def test_a_run_of_a_release_without_augmentation_goes_on_without_it(tmp_path):
    settings = {key: value for key, value in plain("resume=true").items() if key != "augment"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    check_same_settings(tmp_path, composed("train", "resume=true"))
    with pytest.raises(UserError, match=r"augment\.gain_decibels was None in .*, and is 6\.0 now"):
        check_same_settings(tmp_path, composed("train", "resume=true", "augment=light"))


def test_the_places_of_folders_are_no_part_of_what_a_checkpoint_records():
    settings = augment("augment.noise_probability=1", "augment.noise_folder=/home/someone/musan").portable()
    assert settings == {"noise_probability": 1.0, "noise_folder": "musan", "noise_snr": [10.0, 30.0]}
