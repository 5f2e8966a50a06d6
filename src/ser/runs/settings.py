"""config.yaml: the settings of a run, and which of them decide what it computes."""

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from ser import config
from ser.config.augment import settings_in_effect
from ser.config.identity import incidental_keys
from ser.config.old_keys import ADDED, current_settings
from ser.config.ranges import spell
from ser.errors import UserError
from ser.files import write_text
from ser.models.forward import default_device
from ser.runs.folder import CONFIG, FINISHED

INCIDENTAL = incidental_keys(config.Train)


def decisive_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that decide what a run computes, with dotted keys; its data are compared by their splits."""
    settings = {**settings, "augment": settings_in_effect(settings.get("augment") or {})}
    return {key: value for key, value in flatten(settings).items() if not {key, key.split(".")[0]} & INCIDENTAL}


def check_same_settings(folder: Path, cfg: config.Train) -> None:
    """Raise a UserError that names the first setting in which a resumed run differs from its beginning."""
    settings = load_config(folder)
    check_same_computation(folder, settings.get("trainer") or {}, cfg)
    before, now = decisive_settings(current_settings(settings)), decisive_settings(to_plain(asdict(cfg)))
    for key in sorted(before.keys() | now.keys()):
        if key not in before and (not now[key] or now[key] == ADDED.get(key)):
            continue  # a later release added it, and it is off
        if before.get(key) != now.get(key):
            raise UserError(
                f"resume={spell(cfg.resume)}: {key} was {before.get(key)} in {folder}, and is {now.get(key)} now; give "
                "it as it was, or another output_dir"
            )


def check_same_computation(folder: Path, earlier: dict[str, Any], cfg: config.Train) -> None:
    """Raise a UserError where an unfinished run of an earlier release would go on with other random numbers.

    Its `trainer.attention` and `trainer.quick_dropout` follow from the device and `trainer.precision` today.
    """
    from ser.training.arguments import mixed_precision  # imports the Trainer, which a comparison does not need

    if not {"attention", "quick_dropout"} & earlier.keys() or (folder / FINISHED).is_file():
        return
    on_cpu = default_device().type == "cpu"
    fast = on_cpu and mixed_precision(cfg.trainer.precision)["bf16"]
    eager = earlier.get("attention") == "eager" or (fast and earlier.get("attention") == "auto")
    if (eager, on_cpu and bool(earlier.get("quick_dropout"))) != (fast, fast):
        raise UserError(
            f"resume={spell(cfg.resume)}: {folder} was begun with trainer.attention={earlier.get('attention')} and "
            f"trainer.quick_dropout={earlier.get('quick_dropout')}, which are gone and would be chosen otherwise here; "
            "resume it with the earlier release, or start again with overwrite=true"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """Read the settings of a run, under today's keys.

    Raises:
        UserError: the file is damaged.
    """
    return current_settings(load_config(folder))


def load_config(folder: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / CONFIG}: it is damaged ({' '.join(str(error).split())})") from error
    if not isinstance(settings, dict):
        raise UserError(f"{folder / CONFIG}: it is damaged, it holds no settings")
    return settings


def write_config(folder: Path, cfg: config.Train) -> None:
    write_text(folder / CONFIG, yaml.safe_dump(to_plain(asdict(cfg)), sort_keys=False, allow_unicode=True))


def to_plain(value: Any) -> Any:
    """Return a value as YAML and JSON hold it: enums by their value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: to_plain(entry) for key, entry in value.items()}
    return [to_plain(entry) for entry in value] if isinstance(value, list) else value


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested keys as dotted ones.

    >>> flatten({"trainer": {"learning_rate": 0.1}})
    {'trainer.learning_rate': 0.1}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return leaves
