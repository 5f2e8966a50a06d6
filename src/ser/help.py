"""`ser <command> --help`: the groups of a command and its keys, with their values, types and meanings."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from ser.config.reference import Key, keys

INDENT = "    "


def text(command: str, schema: type[Any], configs: Path, overrides: Sequence[str], summary: str) -> str:
    """Return what `--help` prints.

    Args:
        command: as it is typed.
        schema: its dataclass.
        configs: the folder of the YAML files.
        overrides: the words beside `--help`, in Hydra's grammar: the values shown are those they give.
        summary: what the command does, in a line.
    """
    stage = command.replace("-", "_")
    with initialize_config_dir(str(configs.resolve()), version_base="1.3"):
        cfg = compose(stage, list(overrides))
    width = min(120, get_terminal_size().columns)
    lines = [f"usage: ser {command} [key=value ...] [--cfg job] [--multirun]", "", summary, ""]
    if chosen := list(groups(configs / f"{stage}.yaml", configs)):
        lines += ["Groups of values (files of configs/):", *chosen, ""]
    lines += ["Keys, with the values that this command line gives:", ""]
    for key in keys(schema):
        lines += entry(key, shown(cfg, key.name), width)
    return "\n".join(lines)


def groups(primary: Path, configs: Path) -> Iterator[str]:
    """Yield a line for each group that a command composes its config from."""
    for default in OmegaConf.to_container(OmegaConf.load(primary))["defaults"]:  # type: ignore[call-overload,index]
        if isinstance(default, dict) and not next(iter(default)).startswith("override"):
            name = next(iter(default))
            choices = sorted(path.stem for path in (configs / name).glob("*.yaml") if not path.stem.startswith("_"))
            yield textwrap.fill(f"{name}={' | '.join(choices)}", 110, initial_indent="  ", subsequent_indent=INDENT)


def shown(cfg: DictConfig, name: str) -> str:
    """Return the value of a key as it would be typed; `???` where the user must give it."""
    parent, _, leaf = name.rpartition(".")
    holder = OmegaConf.select(cfg, parent) if parent else cfg
    if OmegaConf.is_missing(holder, leaf):
        return "???"
    value = OmegaConf.to_container(OmegaConf.create({"value": holder[leaf]}), enum_to_str=True)["value"]  # type: ignore[call-overload,index]
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return textwrap.shorten(str(value), 60)


def entry(key: Key, value: str, width: int) -> list[str]:
    """Return the lines of one key."""
    head = f"  {key.name}={value}"
    lines = [head if len(head) + len(key.type) + 4 > width else f"{head}  ({key.type})"]
    return lines + textwrap.wrap(key.meaning, width, initial_indent=INDENT, subsequent_indent=INDENT)
