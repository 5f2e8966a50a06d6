"""What a finished output says of the recordings in it."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ser.errors import UserError
from ser.inference.target import Target


def count_errors(target: Target) -> int:
    """Count the recordings with an error in a finished output, without loading all of it.

    Raises:
        UserError: it does not hold predictions.
    """
    try:
        if target.has_shards:
            return count_in_parquet(target)
        return sum(not emotion for emotion in read_emotions(target.path))
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        raise UserError(
            f"output={target.path}: it does not hold predictions of `ser predict`; give another name, or "
            "overwrite=true to replace it"
        ) from error


def count_in_parquet(target: Target) -> int:
    """Count the rows without an emotion; see `count_errors`."""
    # Imported here because pyarrow takes a third of a second and few commands write Parquet.
    from pyarrow import parquet

    paths = sorted(target.path.glob("part-*.parquet")) if target.is_folder else [target.path]
    return sum(
        int(batch.column("emotion").null_count)
        for path in paths
        for batch in parquet.ParquetFile(path).iter_batches(columns=["emotion"])
    )


def read_emotions(path: Path) -> Iterator[Any]:
    """Yield the emotion of each row of CSV or JSON lines; nothing stands there where the recording has an error."""
    with path.open(newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            rows = csv.reader(file)
            place = next(rows, []).index("emotion")  # the first: an emotion may be called so too
            yield from (row[place] for row in rows)
        else:
            for line in file:
                row = json.loads(line)
                yield None if "error" in row else row["emotion"]
