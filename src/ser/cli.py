"""The `ser` command: each subcommand is a Hydra app configured by configs/<subcommand>.yaml.

Nothing heavy is imported here: `ser --help`, `--cfg job` and TAB completion answer at once. A stage and what it needs
are imported inside the task.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ser import config
from ser.errors import UserError, one_line

PACKAGED = Path(__file__).parent / "configs"  # in a wheel
CONFIGS = str(PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2] / "configs")  # in a checkout

TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1"

FLAGS = ("root", "audio")
"""Keys whose value is a path of the user's own, with whatever it has in its name."""

Schema = TypeVar("Schema")

# For names of folders: seeds=[0,1,2] -> seed0-1-2.
OmegaConf.register_new_resolver("join", lambda values: "-".join(map(str, values)), replace=True)


SCHEMAS: dict[str, type[Any]] = {
    "prepare_data": config.PrepareData,
    "train": config.Train,
    "evaluate": config.Evaluate,
    "compare": config.Compare,
    "predict": config.Predict,
    "serve": config.Serve,
    "export": config.Export,
    "push": config.Push,
}
for name, schema in SCHEMAS.items():
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)  # first of configs/<name>.yaml's defaults


def command(stage: str, summary: str) -> Callable[[], Any]:
    """The Hydra app of configs/<stage>.yaml: composes it, checks it, and hands it to the stage of that name."""

    def task(cfg: DictConfig) -> Any:
        with mistakes_in_one_line():
            checked_cfg = checked(cfg, SCHEMAS[stage])
            return getattr(import_module(f"ser.commands.{stage}"), stage)(checked_cfg)

    task.__doc__ = summary
    app: Callable[[], Any] = hydra.main(version_base="1.3", config_path=CONFIGS, config_name=stage)(task)
    return app


COMMANDS: dict[str, Callable[[], Any]] = {
    "prepare-data": command(
        "prepare_data", "List, check and cache the recordings of a corpus: ser prepare-data --root RAVDESS"
    ),
    "train": command("train", "Fine-tune an encoder: ser train model=hubert_large"),
    "evaluate": command("evaluate", "Score a checkpoint: ser evaluate checkpoint=runs/..."),
    "compare": command("compare", "Put runs side by side: ser compare runs=runs/*"),
    "predict": command("predict", "Label recordings: ser predict checkpoint=runs/... --audio FILE|FOLDER"),
    "serve": command("serve", "Answer on a web page and to programs: ser serve checkpoint=runs/..."),
    "export": command("export", "Make an ONNX model of a checkpoint: ser export checkpoint=runs/..."),
    "push": command("push", "Send a finished run to the hub: ser push checkpoint=runs/... repo=USER/NAME"),
}


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """End the run with one line and status 1 where the user, the disk or the configuration is at fault.

    Stands around Hydra, for what is wrong with the command line, and inside each task, whose errors Hydra would
    announce with a line of its own. HYDRA_FULL_ERROR=1 shows the traceback instead.
    """
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        if TRACEBACK_WANTED:
            raise
        sys.exit(f"ser: {one_line(error)}")


def checked(cfg: DictConfig, schema: type[Schema]) -> Schema:
    """Turn a composed config into its dataclass; misspelt, mistyped or missing values end the run."""
    # Resolved once, after the merge: a path that holds `${` would be resolved again.
    merged = OmegaConf.merge(schema, OmegaConf.to_container(cfg, resolve=False))
    values = OmegaConf.to_object(merged)
    assert isinstance(values, schema)
    return values


def usage() -> str:
    lines = [f"  {name:<14}{app.__doc__}" for name, app in COMMANDS.items()]
    return "\n".join(["usage: ser <command> [key=value ...] [--help] [--cfg job] [--multirun]", "", *lines])


def flags_to_overrides(arguments: list[str]) -> list[str]:
    """Write `--root DIR` and `--audio FILE` as the Hydra overrides they stand for, quoted so that any path works."""
    parser = argparse.ArgumentParser(prog="ser", add_help=False, allow_abbrev=False)
    for name in FLAGS:
        parser.add_argument(f"--{name}")
    flags, overrides = parser.parse_known_args(arguments)
    for name in FLAGS:
        if (path := getattr(flags, name)) is not None:
            overrides.append(f"{name}='{quoted(path)}'")
    return overrides


def quoted(text: str) -> str:
    """Write a text so that it stands for itself between single quotes of Hydra's override grammar.

    Backslashes count there only in front of a quote, which the end of the text is too; `${` would be an interpolation.
    """
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + match[2].replace("'", "\\'"), text)
    return escaped.replace("${", "\\${")


def complete() -> None:
    """Answer the shell's TAB: subcommand names first, then what Hydra knows of that subcommand."""
    program, *words = os.environ["COMP_LINE"].split(" ")
    if len(words) > 1 and words[0] in COMMANDS:
        os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
        COMMANDS[words[0]]()
    else:
        print(*COMMANDS)


def main() -> None:
    """Take the subcommand off the command line and leave the rest to Hydra."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
    elif name == "-sc":
        complete() if "COMP_LINE" in os.environ else COMMANDS["train"]()
    elif name in COMMANDS:
        sys.argv[1:] = flags_to_overrides(arguments)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # without it Hydra prints a page and exits before we see the error
        with mistakes_in_one_line():
            COMMANDS[name]()
    else:
        sys.exit(f"ser: no command '{name}'\n\n{usage()}")
