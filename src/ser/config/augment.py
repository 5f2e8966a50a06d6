"""Config of the augmentation of training clips."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from ser.config.paths import PATH
from ser.config.ranges import RANGE, Range, check_ranges, number
from ser.errors import UserError

SWITCHES: dict[str, tuple[str, ...]] = {
    "speed_probability": ("speed_factors",),
    "pitch_probability": ("pitch_semitones",),
    "gain_decibels": (),
    "noise_probability": ("noise_folder", "noise_snr"),
    "room_probability": ("response_folder", "reverberation_time", "direct_to_reverberant"),
    "telephone_probability": (),
    "mu_law_probability": (),
    "trim_silence": (),
    "time_masks": ("time_mask_seconds",),
    "mixup_alpha": ("mix_probability",),
    "cutmix_alpha": ("mix_probability",),
}
"""The keys that turn an effect on by not being 0, each with the keys that matter then."""
FOLDERS = ("noise_folder", "response_folder")
PAIRS = ("noise_snr", "reverberation_time", "direct_to_reverberant")


@dataclass
class Augment:
    """Changes of the training clips, drawn anew for each epoch from seed, epoch and clip; no other clip is changed."""

    speed_probability: float = number(least=0, most=1)
    """Probability that a clip is played at another speed (Ko et al. 2015); pitch and duration change together."""
    speed_factors: list[float] = field(default=MISSING, metadata={RANGE: Range(least=0.5, most=2)})
    """The speeds, all equally likely; 1 is the clip's own."""
    pitch_probability: float = number(least=0, most=1)
    """Probability that the pitch of a clip is shifted; its duration stays."""
    pitch_semitones: float = number(above=0, most=12)
    """Largest shift, up or down, in semitones."""
    gain_decibels: float = number(least=0, most=60)
    """Largest change of the level of a clip, up or down, in decibels; without effect on an encoder that normalises its
    input."""
    noise_probability: float = number(least=0, most=1)
    """Probability that noise is added to a clip (Snyder et al. 2015)."""
    noise_folder: str | None = field(default=None, metadata=PATH)
    """A folder with recordings of noise in any layout, such as MUSAN's; null: coloured noise from white to brown."""
    noise_snr: list[float] = field(default=MISSING, metadata={RANGE: Range(least=-20, most=100)})
    """Smallest and largest ratio of signal to noise, in decibels."""
    room_probability: float = number(least=0, most=1)
    """Probability that a clip is played in a room (Ko et al. 2017)."""
    response_folder: str | None = field(default=None, metadata=PATH)
    """A folder with impulse responses of rooms in any layout, such as those of OpenSLR 28; null: simulated rooms."""
    reverberation_time: list[float] = field(default=MISSING, metadata={RANGE: Range(above=0, most=5)})
    """Shortest and longest reverberation time of a simulated room, in seconds."""
    direct_to_reverberant: list[float] = field(default=MISSING, metadata={RANGE: Range(least=-20, most=60)})
    """Smallest and largest ratio of direct sound to reverberation of a simulated room, in decibels."""
    telephone_probability: float = number(least=0, most=1)
    """Probability that a clip is limited to the band of a telephone, 300 to 3400 Hz."""
    mu_law_probability: float = number(least=0, most=1)
    """Probability that a clip is quantised by mu-law, as a telephone line does."""
    trim_silence: float = number(least=0, most=1)
    """Largest share of the silence before and of that after the speech that is cut off."""
    time_masks: int = number(least=0, most=20)
    """Number of sections of each clip that are set to zero."""
    time_mask_seconds: float = number(above=0, most=10)
    """Longest such section, in seconds."""
    mixup_alpha: float = number(least=0, most=10)
    """Parameter of the Beta distribution of mixup (arXiv 1710.09412): a clip and its label are mixed with another clip
    of the batch, brought to the same level; 0: never."""
    cutmix_alpha: float = number(least=0, most=10)
    """The same for CutMix (arXiv 1905.04899): a section of the other clip replaces one of this. With both, each is
    equally likely."""
    mix_probability: float = number(above=0, most=1)
    """Probability that a clip is mixed with another one, with `mixup_alpha` or `cutmix_alpha`."""

    def __post_init__(self) -> None:
        """Raise a UserError for numbers out of range, and for ranges that are none."""
        check_ranges(self, "augment.")
        if not self.speed_factors:
            raise UserError("augment.speed_factors=[]: give at least one speed")
        for name in PAIRS:
            pair = getattr(self, name)
            if len(pair) != 2 or pair[0] > pair[1]:
                raise UserError(f"augment.{name}={pair}: give two numbers, the smaller one first")

    @property
    def changes_clips(self) -> bool:
        """Whether any effect is on."""
        return bool(settings_in_effect(asdict(self)))

    def portable(self) -> dict[str, Any]:
        """Return the settings in effect, with the names of folders and without their places on this machine."""
        settings = settings_in_effect(asdict(self))
        names = {key: Path(settings[key]).name for key in FOLDERS if settings.get(key)}
        return {**settings, **names}


def settings_in_effect(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that change clips: the effects that are on, with what belongs to them.

    >>> settings_in_effect({"time_masks": 2, "time_mask_seconds": 0.2, "gain_decibels": 0.0, "mix_probability": 1.0})
    {'time_masks': 2, 'time_mask_seconds': 0.2}

    Args:
        values: The settings of `augment`; empty for a run of a release without it.
    """
    names = [name for switch, details in SWITCHES.items() if values.get(switch) for name in (switch, *details)]
    return {name: values[name] for name in dict.fromkeys(names) if name in values}
