"""The manifest: a CSV with one row for each recording, the contract between `prepare-data` and everything else."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath

from ser.corpora.recordings import Recording
from ser.data.cache import Facts
from ser.errors import UserError
from ser.files import write_csv

FILE = "manifest.csv"


@dataclass(frozen=True)
class Utterance(Recording):
    """A row of the manifest: a recording and what was found in its file."""

    duration: float = 0.0
    """Seconds."""
    sample_rate: int = 0
    """Hertz, of the file."""
    channels: int = 0
    """Of the file."""
    sha256: str = ""
    """Of the decoded samples."""

    @property
    def name(self) -> str:
        """What the recording is called wherever it lies and whatever container it is in."""
        return PurePosixPath(self.path).stem


COLUMNS = [field.name for field in fields(Utterance)]


def utterance(recording: Recording, facts: Facts) -> Utterance:
    return Utterance(
        **vars(recording),
        duration=round(facts["duration"], 6),
        sample_rate=facts["sample_rate"],
        channels=facts["channels"],
        sha256=facts["sha256"],
    )


def write(path: Path, utterances: Iterable[Utterance]) -> None:
    write_csv(path, COLUMNS, map(astuple, utterances))


def read(path: Path) -> list[Utterance]:
    """Read a manifest or a split file.

    Raises:
        UserError: there is no such file, or it lacks a column.
    """
    if not path.is_file():
        raise UserError(
            f"{path.parent}: no {path.name} here; run `ser prepare-data --root DIR` first, or give root=DIR"
        )
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
            raise UserError(f"{path}: the column{'s' * (len(missing) > 1)} {', '.join(missing)} missing")
        return [parse(row) for row in reader]


def parse(row: dict[str, str]) -> Utterance:
    texts = {name: row[name] for name in COLUMNS}
    return Utterance(
        **{name: texts[name] for name in texts if name not in ("duration", "sample_rate", "channels")},
        duration=float(texts["duration"]),
        sample_rate=int(texts["sample_rate"]),
        channels=int(texts["channels"]),
    )
