"""The manifest: a CSV with one row for each recording, the contract between `prepare-data` and everything else."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path, PurePosixPath

from ser.corpora.recordings import Recording
from ser.data.arrow_cache import Facts, UnusableCacheError
from ser.errors import UserError
from ser.files import write_csv

FILE = "manifest.csv"


@dataclass(frozen=True)
class Utterance(Recording):
    """A row of the manifest: a recording and the facts of its file."""

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
        """The name of the recording, wherever and in whatever container it is stored."""
        return PurePosixPath(self.path).stem

    @property
    def key(self) -> tuple[str, str]:
        """Speaker and name: the recording, wherever and in whatever container it is stored."""
        return self.speaker, self.name


COLUMNS = [field.name for field in fields(Utterance)]


def make_utterance(recording: Recording, facts: Facts) -> Utterance:
    return Utterance(
        **vars(recording),
        duration=round(facts["duration"], 6),
        sample_rate=facts["sample_rate"],
        channels=facts["channels"],
        sha256=facts["sha256"],
    )


def write(path: Path, utterances: Iterable[Utterance]) -> None:
    write_csv(path, COLUMNS, map(astuple, utterances))


def checksum(utterances: Iterable[Utterance]) -> str:
    """Sha256 of the rows of a manifest, written and read or not."""
    return hashlib.sha256("\n".join(repr(astuple(row)) for row in utterances).encode("utf-8")).hexdigest()


def read(path: Path) -> list[Utterance]:
    """Read a manifest or a split file.

    Raises:
        UserError: there is no such file, it lacks a column, or a row is damaged.
    """
    if not path.is_file():
        raise UserError(
            f"{path.parent}: no {path.name} here; run `ser prepare-data --root DIR` first, or give root=DIR"
        )
    found = list[Utterance]()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
                raise UserError(f"{path}: the column{'s' * (len(missing) > 1)} {', '.join(missing)} missing")
            for row in reader:
                found.append(parse_row(row))
    except UserError:
        raise
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise UnusableCacheError(f"{path}: it is damaged after row {len(found)}; prepare the data again") from error
    return found


def parse_row(row: dict[str, str]) -> Utterance:
    texts = {name: row[name] for name in COLUMNS}
    return Utterance(
        **{name: texts[name] for name in texts if name not in ("duration", "sample_rate", "channels")},
        duration=float(texts["duration"]),
        sample_rate=int(texts["sample_rate"]),
        channels=int(texts["channels"]),
    )
