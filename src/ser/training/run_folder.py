"""The run folder: one run, named by what it is; never overwritten unasked, resumable when interrupted."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from ser import config
from ser.console import logging_to
from ser.errors import UserError
from ser.files import remove, write_text
from ser.training import checkpoints

log = logging.getLogger("ser")

CONFIG = "config.yaml"
FINISHED = "environment.json"
"""Written last: a folder that has it is complete."""
CONTENTS = (
    "checkpoint",
    "checkpoint-*",
    CONFIG,
    FINISHED,
    "*.csv",
    "classification_report.*",
    "confusion_matrix.*",
    "training_graph.*",
    "speakers.*",
    "reliability.*",
    "report.html",
    "run.log",
    "tensorboard",
    "wandb",
    "evaluation-*",
    "push",
)
"""What a run writes, and so all that `overwrite=true` removes."""
MAY_DIFFER = (
    "resume",
    "overwrite",
    "tracking",
    "root",
    "output_dir",
    "audit",
    "seeds",
    "hub",
    "trainer.save_total_limit",
    "trainer.save_optimizer_every",
    "trainer.background_checkpoints",
)
"""Keys that do not change what a resumed run computes, and groups of them."""


def is_finished(folder: Path) -> bool:
    return (folder / FINISHED).is_file()


def claim(folder: Path, cfg: config.Train) -> None:
    """Make sure that a run may write here.

    Raises:
        UserError: a run is already here and neither overwrite nor resume was asked for, the run to be resumed had other
            settings, or the folder holds something that is no run.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / CONFIG).is_file():
        raise UserError(f"output_dir={folder}: it exists and holds no run; give another output_dir")
    if cfg.overwrite:
        clear(folder)
    elif cfg.resume:
        same_settings(folder, cfg)
    elif is_finished(folder):
        raise UserError(f"output_dir={folder}: a finished run is here; overwrite=true throws it away")
    else:
        raise UserError(
            f"output_dir={folder}: an unfinished run is here; resume=true goes on with it, overwrite=true starts again"
        )


def claim_all(folder: Path, runs: Sequence[config.Train]) -> None:
    """Make sure that each run may write below `folder`; an earlier report on all of them goes unless all are finished.

    Raises:
        UserError: see `claim`; or the folder holds something, and no run.
    """
    places = [Path(run.output_dir) for run in runs]
    ours = (folder / CONFIG).is_file() or any(folder.glob(f"*/{CONFIG}"))
    if folder.exists() and any(folder.iterdir()) and not ours:
        raise UserError(f"output_dir={folder}: it exists and holds no run; give another output_dir")
    for place, run in zip(places, runs, strict=True):
        claim(place, run)
    if (folder / CONFIG).is_file() and not all(map(is_finished, places)):
        clear(folder)


def clear(folder: Path) -> None:
    """Remove what a run wrote, and nothing else."""
    for pattern in CONTENTS:
        for path in folder.glob(pattern):
            remove(path)


def same_settings(folder: Path, cfg: config.Train) -> None:
    """Raise a UserError that names the first setting in which a resumed run differs from what it was."""
    before = flat(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")))
    now = flat(plain(asdict(cfg)))
    for key in sorted(before.keys() | now.keys()):
        if not {key, key.split(".")[0]} & set(MAY_DIFFER) and before.get(key) != now.get(key):
            raise UserError(f"resume=true: {key} was {before.get(key)} in {folder}, and is {now.get(key)} now")


def write_config(folder: Path, cfg: config.Train) -> None:
    write_text(folder / CONFIG, yaml.safe_dump(plain(asdict(cfg)), sort_keys=False, allow_unicode=True))


@contextmanager
def opened(folder: Path, cfg: config.Train) -> Iterator[None]:
    """Write the config and the log while the run goes on; leave nothing of a run that never began."""
    began = (folder / CONFIG).exists()
    write_config(folder, cfg)
    with logging_to(folder / "run.log"):
        try:
            yield
        except UserError as error:
            log.error("%s", error, extra={"file_only": True})
            if not began and not checkpoints.any_whole(folder):
                remove(folder)
            raise


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
