"""Finished runs, read back from their folders."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ser.config.old_keys import current_settings
from ser.data import manifest
from ser.evaluation.predictions import SplitPredictions
from ser.runs.folder import CONFIG, FINISHED, PREDICTIONS, REPORT, TEST
from ser.runs.reading import explain_damage, read_json

ORIGIN = ("seed", "fold")
"""Columns of the pooled predictions.csv: which run gave an answer."""
FIRST = ("path", "truth", "prediction", *ORIGIN)
"""The other columns of predictions.csv are emotions."""


@dataclass(frozen=True)
class Run:
    """A finished run: the content of its folder."""

    folder: Path
    report: dict[str, Any]
    """classification_report.json."""
    used: dict[str, Any]
    """environment.json."""
    settings: dict[str, Any]
    """config.yaml, under today's keys."""
    predictions: SplitPredictions


def read(folder: Path) -> Run:
    """Read a finished run, or several that were pooled.

    Raises:
        UserError: the folder holds no finished run, or a file of it is damaged.
    """
    report, used = (read_json(folder, name) for name in (REPORT, FINISHED))
    with explain_damage(folder / CONFIG):
        settings = current_settings(dict(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))))
    with explain_damage(folder / PREDICTIONS):
        scored = read_predictions(folder)
    return Run(folder, report, used, settings, scored)


def read_predictions(folder: Path) -> SplitPredictions:
    """Read predictions.csv; in a file that an older version pooled, the rows do not name their run."""
    utterances = manifest.read(folder / TEST)
    rows = pd.read_csv(
        folder / PREDICTIONS,
        dtype=dict.fromkeys(FIRST, str),
        keep_default_na=False,
        float_precision="round_trip",
        encoding="utf-8",
    )
    places = {path: place for place, path in enumerate(utterances.texts("path").to_pylist())}
    if set(rows["path"]) != places.keys():
        raise ValueError(f"{PREDICTIONS} and {TEST} are about other recordings")
    emotions = [name for name in rows if name not in FIRST]
    origins = None
    if "seed" in rows:
        origins = [
            (int(seed), int(fold) if fold else None) for seed, fold in zip(rows["seed"], rows["fold"], strict=True)
        ]
    shares = rows[emotions].to_numpy(dtype=np.float64)
    predicted = utterances.take(np.array([places[path] for path in rows["path"]], dtype=np.intp))
    return SplitPredictions(predicted, emotions, shares, origins)
