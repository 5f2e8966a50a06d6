"""Describe the augmentation of training clips in a sentence."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ser.wording import counted

Settings = Mapping[str, Any]
"""What `ser.config.augment.settings_in_effect` returns."""


def describe_augmentation(settings: Settings) -> list[str]:
    """Return a sentence where training clips were augmented.

    >>> describe_augmentation({"noise_probability": 0.3, "noise_snr": [10.0, 30.0], "time_masks": 0})
    ['Only training clips were augmented: noise at 10 to 30 dB (30 % of the clips).']

    Args:
        settings: The settings of `augment` that are in effect; empty, as of an earlier release: nothing is augmented.
    """
    parts = [describe(settings) for switch, describe in EFFECTS.items() if settings.get(switch)]
    return [f"Only training clips were augmented: {'; '.join(parts)}."] if parts else []


def with_probability(text: str, settings: Settings, key: str) -> str:
    """Return a text with the probability of its effect, where that is not 1."""
    return text if settings[key] == 1 else f"{text} ({100 * settings[key]:g} % of the clips)"


def describe_range(pair: Sequence[float]) -> str:
    return f"{pair[0]:g} to {pair[1]:g}"


def describe_speed(settings: Settings) -> str:
    factors = ", ".join(f"{factor:g}" for factor in settings["speed_factors"])
    return with_probability(f"speed times {factors}", settings, "speed_probability")


def describe_pitch(settings: Settings) -> str:
    return with_probability(f"pitch by up to {settings['pitch_semitones']:g} semitones", settings, "pitch_probability")


def describe_noise(settings: Settings) -> str:
    source = f" from {settings['noise_folder']}" if settings.get("noise_folder") else ""
    return with_probability(
        f"noise{source} at {describe_range(settings['noise_snr'])} dB", settings, "noise_probability"
    )


def describe_room(settings: Settings) -> str:
    if settings.get("response_folder"):
        return with_probability(f"rooms from {settings['response_folder']}", settings, "room_probability")
    times = describe_range(settings["reverberation_time"])
    return with_probability(f"simulated rooms with {times} s of reverberation", settings, "room_probability")


def describe_masks(settings: Settings) -> str:
    return f"{counted(settings['time_masks'], 'sections')} of up to {settings['time_mask_seconds']:g} s set to zero"


def describe_mixing(name: str, key: str) -> Callable[[Settings], str]:
    return lambda settings: with_probability(f"{name} with alpha {settings[key]:g}", settings, "mix_probability")


EFFECTS: dict[str, Callable[[Settings], str]] = {
    "speed_probability": describe_speed,
    "pitch_probability": describe_pitch,
    "gain_decibels": lambda settings: f"level by up to {settings['gain_decibels']:g} dB",
    "noise_probability": describe_noise,
    "room_probability": describe_room,
    "telephone_probability": lambda settings: with_probability("telephone band", settings, "telephone_probability"),
    "mu_law_probability": lambda settings: with_probability("mu-law", settings, "mu_law_probability"),
    "trim_silence": lambda settings: f"up to {100 * settings['trim_silence']:g} % of the silence at each end cut off",
    "time_masks": describe_masks,
    "mixup_alpha": describe_mixing("mixup", "mixup_alpha"),
    "cutmix_alpha": describe_mixing("CutMix", "cutmix_alpha"),
}
"""The words of each effect, by the key that turns it on."""
