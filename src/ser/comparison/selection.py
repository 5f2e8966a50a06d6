"""The metric of runs on their validation splits: what settings are chosen by."""

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ser.config import Split
from ser.runs.finished import Run
from ser.runs.folder import HISTORY, REPORT, RunFolder
from ser.runs.reading import read_json

COLUMN = "eval_unweighted_average_recall"


def validation_recall(run: Run) -> float | None:
    """Return the UAR of the selected checkpoint on the validation split, as a mean over the runs of a pooled report.

    None where a checkpoint was selected on tested clips, or where the history is not there.
    """
    parts = [run.folder] if run.report["spread"] is None else [part.path for part in RunFolder(run.folder).below()]
    recalls = [recall_at_selection(part) for part in parts]
    known = [recall for recall in recalls if recall is not None]
    return mean(known) if known and len(known) == len(recalls) else None


def recall_at_selection(folder: Path) -> float | None:
    """Read the UAR on the validation split at the step of the selected checkpoint."""
    if not (folder / HISTORY).is_file() or not (folder / REPORT).is_file():
        return None
    step = str(read_json(folder, REPORT)["step"])
    with (folder / HISTORY).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["step"] == step and row.get("evaluated_on") == Split.validation.value and row.get(COLUMN):
                return float(row[COLUMN])
    return None


def choose_best(recalls: Sequence[float | None]) -> int | None:
    """Return the place of the best run by its validation split; None unless several runs all have one."""
    known = [recall for recall in recalls if recall is not None]
    return recalls.index(max(known)) if len(known) == len(recalls) > 1 else None
