"""Finished runs, read back from their folders."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ser.data import manifest
from ser.errors import UserError
from ser.results.report import Scored
from ser.training.run_folder import CONFIG, FINISHED

REPORT = "classification_report.json"


@dataclass(frozen=True)
class Run:
    """What a run folder says of itself."""

    folder: Path
    report: dict[str, Any]
    """classification_report.json."""
    used: dict[str, Any]
    """environment.json."""
    settings: dict[str, Any]
    """config.yaml."""
    scored: Scored


def read(folder: Path) -> Run:
    """Read a finished run, or several that were pooled.

    Raises:
        UserError: the folder holds no finished run.
    """
    report, used = (json_of(folder, name) for name in (REPORT, FINISHED))
    utterances = {row.path: row for row in manifest.read(folder / "test.csv")}
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    emotions = header[3:]
    shares = np.array([[float(share) for share in row[3:]] for row in rows])
    settings = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    return Run(folder, report, used, settings, Scored([utterances[row[0]] for row in rows], emotions, shares))


def is_about(report: dict[str, Any], stamp: dict[str, Any]) -> bool:
    """Whether a report beside a checkpoint is the one on it: same lists, same step."""
    return (report["protocol"], report["step"]) == (stamp["identity"], stamp["step"])


def json_of(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        raise UserError(f"{folder}: no {name} here: it is not the folder of a finished run")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
