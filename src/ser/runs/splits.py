"""The splits of a run in its folder."""

import pyarrow as pa

from ser import config
from ser.config import Split
from ser.config.ranges import spell
from ser.data import manifest
from ser.data.manifest import Utterance
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.rows import Rows
from ser.runs.folder import TEST, RunFolder
from ser.runs.settings import read_config


def write_splits(run: RunFolder, splits: Splits) -> None:
    """Write a CSV file for each split that is not empty, the test split last."""
    for split in (Split.train, Split.validation, Split.test):
        if splits.get(split):
            manifest.write(run.path / f"{split.value}.csv", splits.get(split))


def check_same_splits(run: RunFolder, cfg: config.Train, splits: Splits) -> None:
    """Check that a resumed run has the splits that it began with, wherever the files are now.

    Raises:
        UserError: they differ; or an earlier release wrote no splits, and `data_dir` differs.
    """
    if (run.path / TEST).is_file():
        for split in Split:
            path = run.path / f"{split.value}.csv"
            before = manifest.read(path) if path.is_file() else Rows(Utterance, {})
            if sort_ids(before) != sort_ids(splits.get(split)):
                raise UserError(
                    f"resume={spell(cfg.resume)}: the recordings of data_dir={cfg.data_dir} are not those that "
                    f"{run.path} began with: its {split.value} split differs; give the data_dir it began with"
                )
    elif run.has_checkpoints() and (before_in := read_config(run.path).get("data_dir")) != cfg.data_dir:
        raise UserError(
            f"resume={spell(cfg.resume)}: data_dir was {before_in} in {run.path}, and is {cfg.data_dir} now"
        )


def sort_ids(rows: Rows[Utterance]) -> pa.Table:
    """Return what identifies the recordings of a split, without their folders, sorted."""
    ids = {"name": manifest.names_of(rows), **{name: rows.texts(name) for name in ("speaker", "emotion", "sha256")}}
    return pa.table(ids).sort_by([(name, "ascending") for name in ids])
