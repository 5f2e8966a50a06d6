"""Each subcommand as a Hydra app: configs/<subcommand>.yaml is composed, checked against its dataclass and run.

Nothing heavy is imported here, so that `ser --help`, `--cfg job` and TAB completion respond at once. A stage and its
dependencies are imported inside the task.
"""

import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ser import config, ending, error_line, help, launching, processes
from ser.command_line import hydra_words
from ser.config.choices import CONFIGS
from ser.config.paths import expand_home, given_paths
from ser.errors import UserError, blame_given_path
from ser.garbage import keep_imported

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
ELSEWHERE = "the launcher of the sweep is set in a file; name it on the command line, as hydra/launcher=NAME"
"""Only then are its jobs followed (`launching.py`)."""

Schema = TypeVar("Schema")

# Used in names of folders: seeds=[0,1,2] -> seed0-1-2.
OmegaConf.register_new_resolver("join", lambda values: "-".join(map(str, values)), replace=True)

# Used in names of folders: parts=[ravdess,data/emodb/] -> ravdess-emodb.
OmegaConf.register_new_resolver(
    "names", lambda parts: "-".join(Path(str(part)).name for part in parts or ["combined"]), replace=True
)


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder, one per process; it is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="ser-")


# The folder for the files that Hydra writes during a sweep.
OmegaConf.register_new_resolver("scratch", lambda: scratch().name, replace=True)

# The GPUs of a job on the Ray cluster.
OmegaConf.register_new_resolver("ray_gpus", launching.count_gpus_of_ray_job, replace=True)

# The schema of a launcher's plugin checks our YAML of the same name, which Hydra 1.3 warns of.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")

SCHEMAS: dict[str, type[Any]] = {
    "prepare_data": config.PrepareData,
    "train": config.Train,
    "cross_corpus": config.Train,
    "evaluate": config.Evaluate,
    "compare": config.Compare,
    "predict": config.Predict,
    "adapt": config.Adapt,
    "serve": config.Serve,
    "export": config.Export,
    "push": config.Push,
}
for name, schema in SCHEMAS.items():
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)  # first of configs/<name>.yaml's defaults


@dataclass
class Jobs:
    """The number and the failures of the jobs of one command: a single job, or those of a sweep."""

    number: int = 0
    failed: list[tuple[str, Exception]] = field(default_factory=list)
    """The swept overrides of each failed job, and its error."""


def run(stage: str, words: Sequence[str]) -> None:
    """Run the command of configs/<stage>.yaml once, or once for each job of a sweep.

    A job that fails does not end the other jobs.

    Args:
        stage: The name of the command's module.
        words: The command line after the subcommand.

    Raises:
        Exception: The error of a command with a single job.
        UserError: Jobs of a sweep failed; the error of each was printed when it failed.
    """
    sys.argv[1:] = hydra_words(words, SCHEMAS[stage])
    if (launcher := launching.chosen_launcher(sys.argv[1:])) != launching.BASIC:
        return launch(launcher, stage, words)
    jobs = Jobs()
    try:
        app(stage, jobs)()
    except ValueError as wrong:  # Hydra raises it for `model=0`; errors of jobs are kept in `jobs`
        raise UserError(f"{' '.join(words)}: {wrong}") from wrong
    if not jobs.number and {"--multirun", "-m"} & set(sys.argv):
        raise UserError(ELSEWHERE)
    if jobs.number > 1 and jobs.failed:
        names = "; ".join(name for name, _ in jobs.failed)
        raise UserError(f"{len(jobs.failed)} of {jobs.number} jobs failed: {names}")
    for _, error in jobs.failed:
        raise error
    return None


def launch(launcher: str, stage: str, words: Sequence[str]) -> None:
    """Run the jobs of a sweep elsewhere.

    Args:
        launcher: The name of the launcher in configs/hydra/launcher.
        stage: The name of the command's module.
        words: The command line after the subcommand.

    Raises:
        UserError: Jobs failed; the error of each was printed.
    """
    sweep = launching.plan_jobs(launcher, stage, sys.argv[1:], words)
    sys.argv[1:] = [*sweep.words(), *sys.argv[1:]]

    def task(cfg: DictConfig) -> None:
        hydra_cfg = HydraConfig.get()
        sweep.run_job(hydra_cfg.job.num, hydra_cfg.overrides.task, hydra_cfg.runtime.cwd)

    with sweep.waiting():
        decorated(stage, task)()


def help_text(command: str, summary: str, words: Sequence[str]) -> str:
    """Return what `ser COMMAND WORDS --help` prints; a word without a value, as `trainer`, names the keys to show."""
    schema = SCHEMAS[command.replace("-", "_")]
    given = [word for word in words if "=" in word or word.startswith("-")]
    given = [word for word in hydra_words(given, schema) if not word.startswith("--")]
    about = [word for word in words if "=" not in word and not word.startswith(("-", "~"))]
    return help.text(command, schema, Path(CONFIGS), given, summary, about)


def app(stage: str, jobs: Jobs) -> Callable[[], Any]:
    """Return the Hydra app, which composes a config, checks it and passes it to the stage of that name."""

    def task(cfg: DictConfig) -> Any:
        hydra_cfg = HydraConfig.get()
        jobs.number += 1
        paths: list[str] = []
        try:
            if stage != "train" and (started := processes.count_started()) > 1:
                raise UserError(f"WORLD_SIZE={started}: only `ser train` runs in several processes; start one")
            if hydra_cfg.mode is RunMode.MULTIRUN and hydra_cfg.launcher["_target_"] != BASIC:
                raise UserError(ELSEWHERE)
            checked_cfg = checked(cfg, SCHEMAS[stage])
            paths = given_paths(checked_cfg)
            with keep_imported():
                command = getattr(import_module(f"ser.commands.{stage}"), stage)
            return command(checked_cfg)
        except Exception as raised:  # Hydra would print a line of its own for it
            ending.raise_lost_interruption(raised)
            error, name = blame_given_path(raised, paths), swept(hydra_cfg.overrides.task)
            jobs.failed.append((name, error))
            if hydra_cfg.mode is RunMode.MULTIRUN:
                error_line.tell(error, name)
            return math.nan

    return decorated(stage, task)


def decorated(stage: str, task: Callable[[DictConfig], Any]) -> Callable[[], Any]:
    """Return the Hydra app of a task."""
    task.__module__ = "ser"  # the name that --help prints
    main: Callable[[], Any] = hydra.main(version_base="1.3", config_path=CONFIGS, config_name=stage)(task)
    return main


def swept(overrides: Sequence[str]) -> str:
    """Return the overrides of a job whose keys are swept on the command line."""
    given = OverridesParser.create().parse_overrides([word for word in sys.argv[1:] if not word.startswith("--")])
    keys = tuple(f"{override.get_key_element()}=" for override in given if override.is_sweep_override())
    return " ".join(word for word in overrides if word.startswith(keys))


def checked(cfg: DictConfig, schema: type[Schema]) -> Schema:
    """Convert a composed config to its dataclass; misspelt keys and mistyped or missing values raise an error."""
    # Resolved once, after the merge: a path that holds `${` would be resolved again.
    merged = OmegaConf.merge(schema, OmegaConf.to_container(cfg, resolve=False))
    if missing := sorted(OmegaConf.missing_keys(merged), key=str):
        raise UserError(f"give {' '.join(f'{key}=...' for key in missing)}; with --help the command says what it is")
    values = OmegaConf.to_object(merged)
    assert isinstance(values, schema)
    expand_home(values)
    return values
