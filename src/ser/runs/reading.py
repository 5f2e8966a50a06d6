"""Reading the files of a run folder that other commands need."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ser.errors import UserError


@contextmanager
def explain_damage(path: Path) -> Iterator[None]:
    """Name a file that is gone, or whose content cannot be what `ser` wrote.

    Raises:
        UserError: it is, or it cannot.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: the file is missing; run the command that wrote it again") from error
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: the file is damaged ({type(error).__name__}); run the command that wrote it again"
        ) from error


def is_about(report: dict[str, Any], stamp: dict[str, Any]) -> bool:
    """Whether a report beside a checkpoint describes it: same splits, same step."""
    return (report["protocol"], report["step"]) == (stamp["identity"], stamp["step"])


def read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        raise UserError(f"{folder}: no {name} here: it is not the folder of a finished run")
    with explain_damage(path):
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    return content
