"""The YAML files of `configs`: where they are, and which choice of a group some settings are."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ser.config.augment import settings_in_effect

PACKAGED = Path(__file__).parents[1] / "configs"  # in a wheel
CONFIGS = str(PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[3] / "configs")  # in a checkout


@cache
def augmentations() -> dict[str, dict[str, Any]]:
    """Return the settings in effect of each choice of `augment`."""
    files = sorted((Path(CONFIGS) / "augment").glob("[!_]*.yaml"))
    return {path.stem: settings_in_effect(read_choice(path)) for path in files}


def find_augmentation(settings: Mapping[str, Any]) -> str | None:
    """Return the choice of `augment` whose settings in effect these are; None: there is none.

    >>> find_augmentation({})
    'none'
    """
    return next((name for name, values in augmentations().items() if values == settings), None)


def read_choice(path: Path) -> dict[str, Any]:
    """Read the file of a choice over those that its list of defaults names, as Hydra composes them."""
    own = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    earlier = [name for name in own.pop("defaults", []) if name != "_self_"]
    settings: dict[str, Any] = {}
    for name in earlier:
        settings |= read_choice(path.with_name(f"{name}.yaml"))
    return settings | own
