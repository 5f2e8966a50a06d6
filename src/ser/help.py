"""Output of `ser <command> --help`: the config groups of a command and its keys with value, type and meaning."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from ser.config.reference import Key, keys
from ser.errors import UserError

INDENT = "    "


def text(
    command: str,
    schema: type[Any],
    configs: Path,
    overrides: Sequence[str],
    summary: str,
    about: Sequence[str] = (),
) -> str:
    """Return what `--help` prints.

    Args:
        command: The command as it is typed.
        schema: Its dataclass.
        configs: The folder of the YAML files.
        overrides: The other words of the command line, in Hydra's grammar; the values shown include them.
        summary: One line that describes the command.
        about: Parts of the names of the keys that are shown; none: all keys.

    Raises:
        UserError: No key has such a name.
    """
    stage = command.replace("-", "_")
    with initialize_config_dir(str(configs.resolve()), version_base="1.3"):
        cfg = compose(stage, list(overrides))
    width = min(120, get_terminal_size().columns)
    lines = [f"usage: ser {command} [key=value ...] [--help [KEY]] [--cfg job] [--multirun]", "", summary, ""]
    if not about and (chosen := list(groups(configs / f"{stage}.yaml", configs))):
        lines += ["Groups of values (files of configs/):", *chosen, ""]
    lines += ["Keys, with the values that this command line gives:", ""]
    wanted = [key for key in keys(schema) if not about or any(part in key.name for part in about)]
    if not wanted:
        raise UserError(f"--help {' '.join(about)}: no key of `ser {command}` has such a name; --help shows all")
    for key in wanted:
        lines += entry(key, shown(cfg, key.name), width)
    return "\n".join(lines)


def groups(primary: Path, configs: Path) -> Iterator[str]:
    """Yield a line for each config group of a command."""
    for default in OmegaConf.to_container(OmegaConf.load(primary))["defaults"]:  # type: ignore[call-overload,index]
        if isinstance(default, str) and (configs / f"{default}.yaml").is_file():
            yield from groups(configs / f"{default}.yaml", configs)
        elif isinstance(default, dict) and not next(iter(default)).startswith("override"):
            name = next(iter(default))
            choices = sorted(path.stem for path in (configs / name).glob("*.yaml") if not path.stem.startswith("_"))
            yield textwrap.fill(f"{name}={' | '.join(choices)}", 110, initial_indent="  ", subsequent_indent=INDENT)


def shown(cfg: DictConfig, name: str) -> str:
    """Return the value of a key as a user would type it; `???` where it is mandatory."""
    parent, _, leaf = name.rpartition(".")
    holder = OmegaConf.select(cfg, parent) if parent else cfg
    if holder is None:
        return "null"  # a group that is not chosen
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
