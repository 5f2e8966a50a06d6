"""config.yaml: the settings of a run, and which of them decide what it computes."""

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from ser import config
from ser.config.old_keys import current_settings
from ser.errors import UserError
from ser.files import write_text
from ser.runs.folder import CONFIG

INCIDENTAL = (
    "resume",
    "overwrite",
    "tracking",
    "root",
    "data_dir",
    "output_dir",
    "on_leak",
    "seeds",
    "hub",
    "protocol.folds_csv",
    "trainer.save_total_limit",
    "trainer.save_optimizer_every",
    "trainer.background_checkpoints",
)
"""Keys, and groups of them, that do not change what a run computes: where its data and itself lie, what is saved, who
is told. The data themselves are compared by their lists."""


def decisive(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what a run computes, with dotted keys."""
    return {key: value for key, value in flat(settings).items() if not {key, key.split(".")[0]} & set(INCIDENTAL)}


def same_settings(folder: Path, cfg: config.Train) -> None:
    """Raise a UserError that names the first setting in which a resumed run differs from what it was."""
    before, now = decisive(read_config(folder)), decisive(plain(asdict(cfg)))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise UserError(f"resume=true: {key} was {before.get(key)} in {folder}, and is {now.get(key)} now")


def read_config(folder: Path) -> dict[str, Any]:
    """Read the settings of a run, under today's keys.

    Raises:
        UserError: the file is damaged.
    """
    try:
        settings = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / CONFIG}: it is damaged ({' '.join(str(error).split())})") from error
    if not isinstance(settings, dict):
        raise UserError(f"{folder / CONFIG}: it is damaged, it holds no settings")
    return current_settings(settings)


def write_config(folder: Path, cfg: config.Train) -> None:
    write_text(folder / CONFIG, yaml.safe_dump(plain(asdict(cfg)), sort_keys=False, allow_unicode=True))


def plain(value: Any) -> Any:
    """A value as YAML and JSON hold it: enums by their value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones.

    >>> flat({"trainer": {"learning_rate": 0.1}})
    {'trainer.learning_rate': 0.1}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return leaves
