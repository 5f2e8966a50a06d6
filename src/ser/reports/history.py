"""The history of training: the Trainer's log as a table."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser.evaluation.metrics import COUNT_METRICS
from ser.files import write_csv

COLUMNS = {
    "seconds": "seconds",
    "loss": "train_loss",
    "accuracy": "train_accuracy",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "eval_loss": "eval_loss",
    **{f"eval_{name}": f"eval_{name}" for name, metric in COUNT_METRICS.items() if metric.in_history},
}
"""Key in the Trainer's log -> column."""

Row = dict[str, Any]


def tabulate_log(log: Sequence[dict[str, Any]]) -> list[Row]:
    """Return a row for each logged step, with training and evaluation side by side; missing values are None."""
    rows: dict[int, Row] = {}
    for entry in log:
        figures = {COLUMNS[name]: value for name, value in entry.items() if name in COLUMNS}
        if figures:
            row = rows.setdefault(entry["step"], {"step": entry["step"], "epoch": entry["epoch"]})
            row.update(figures)
    empty: Row = dict.fromkeys(COLUMNS.values())
    return [{**empty, **rows[step]} for step in sorted(rows)]


def write(path: Path, rows: Sequence[Row], corpus: str, protocol: dict[str, Any], evaluated_on: str) -> None:
    """Write history.csv; every row names corpus, protocol and split."""
    whose = {"corpus": corpus, "protocol": protocol["name"], "fold": protocol["fold"], "evaluated_on": evaluated_on}
    figures = ["step", "epoch", *COLUMNS.values()]
    write_csv(path, [*whose, *figures], ([*whose.values(), *(row[name] for name in figures)] for row in rows))


def read(path: Path) -> list[Row]:
    """Read history.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        names = ("step", "epoch", *COLUMNS.values())
        return [{name: parse_number(row[name]) for name in names} for row in csv.DictReader(file)]


def parse_number(text: str) -> float | None:
    return float(text) if text else None
