"""The lists of a run, in its folder: what it is trained, validated and tested on."""

from collections.abc import Sequence

from ser import config
from ser.config import Split
from ser.data import manifest
from ser.data.manifest import Utterance
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.runs.folder import TEST, RunFolder
from ser.runs.settings import read_config


def write_splits(run: RunFolder, splits: Splits) -> None:
    """Write a CSV file for each list that is not empty; that of the test list last."""
    for split in (Split.train, Split.validation, Split.test):
        if splits.get(split):
            manifest.write(run.path / f"{split.value}.csv", splits.get(split))


def check_same_splits(run: RunFolder, cfg: config.Train, splits: Splits) -> None:
    """Make sure that a run that goes on has the data it began with, wherever they lie now.

    Raises:
        UserError: they are others; or an older version began the run and kept no lists, and they lie elsewhere.
    """
    if (run.path / TEST).is_file():
        for split in Split:
            path = run.path / f"{split.value}.csv"
            before = manifest.read(path) if path.is_file() else []
            if recording_ids(before) != recording_ids(splits.get(split)):
                raise UserError(
                    f"resume=true: the recordings of data_dir={cfg.data_dir} are not those that {run.path} began with: "
                    f"its {split.value} list differs; give the data_dir it began with"
                )
    elif run.has_checkpoints() and (before_in := read_config(run.path).get("data_dir")) != cfg.data_dir:
        raise UserError(f"resume=true: data_dir was {before_in} in {run.path}, and is {cfg.data_dir} now")


def recording_ids(rows: Sequence[Utterance]) -> list[tuple[str, str, str, str]]:
    """What a list holds, wherever the files lie."""
    return sorted((row.speaker, row.name, row.emotion, row.sha256) for row in rows)
