from dataclasses import asdict

import pytest
from conftest import composed

from ser.config.augment import settings_in_effect
from ser.config.choices import augmentations, find_augmentation


@pytest.mark.parametrize("name", augmentations())
def test_an_augmentation_is_found_by_the_settings_that_hydra_composes_for_it(name):
    settings = settings_in_effect(asdict(composed("train", f"augment={name}").augment))
    assert find_augmentation(settings) == name


def test_one_changed_setting_is_no_choice():
    settings = settings_in_effect(asdict(composed("train", "augment=light", "augment.gain_decibels=7").augment))
    assert find_augmentation(settings) is None
