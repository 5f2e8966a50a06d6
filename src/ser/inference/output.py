"""The output of predictions: CSV, JSON lines, a Parquet file or a folder of Parquet shards, by its name.

Predictions are written beside it, as `NAME.partial.csv` and so on, which is renamed after the last one: an interrupted
command leaves the predictions so far, and a journal by which `resume=true` continues (`ser.inference.journal`).
"""

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import xxhash

from ser.errors import Interrupted, UserError
from ser.files import write_errors_explained
from ser.inference.journal import ANEW, Journal
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import WindowPrediction
from ser.inference.target import Target

log = logging.getLogger("ser")


class Output:
    """Counts predictions; a subclass writes them as well."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.counts = journal, journal.counts

    def add(self, window: WindowPrediction) -> None:
        self.counts.add(None if window.prediction is None else window.prediction.emotion)

    def commit(self, names: Sequence[str]) -> None:
        """Take the end of a block of recordings as the place where another command would continue."""

    def finish(self) -> None:
        """Give the complete output its name."""

    def close(self) -> None:
        """Keep what is complete, after `finish` or an error."""

    @property
    def kept(self) -> str:
        """The message about the kept predictions when the command ends early."""
        return f"there were {self.counts.predictions} predictions; output=FILE.csv would keep them"


class RowFile(Output):
    """A file of CSV or JSON lines, created with the first prediction.

    Raises:
        UserError: The file that is continued has been changed.
    """

    def __init__(self, target: Target, output_format: OutputFormat, journal: Journal) -> None:
        super().__init__(journal)
        self.target = target
        self.head, self.format = line_format(output_format, target.path.suffix)
        self.digest = xxhash.xxh3_128()
        self._file: io.FileIO | None = None
        if self.counts.predictions:
            self._file = self.continue_file()

    def continue_file(self) -> io.FileIO:
        """Open the partial file behind the last row that is complete."""
        done = self.journal.done
        file = self.target.partial.open("r+b", buffering=0)
        left = done.size
        while left and (block := file.read(min(left, 2**24))):
            self.digest.update(block)
            left -= len(block)
        if left or self.digest.hexdigest() != done.content:
            file.close()
            raise UserError(f"resume=true: {self.target.partial} has been changed, and {ANEW}")
        file.truncate()
        return file

    def add(self, window: WindowPrediction) -> None:
        self.append(self.format(window))
        super().add(window)

    def append(self, text: str) -> None:
        """Write a text as a whole or not at all, even when interrupted."""
        with write_errors_explained(self.target.path):
            file, data = self.open(), text.encode("utf-8", "backslashreplace")
            begin = file.tell()
            try:
                write_all(file, data)
            except (OSError, KeyboardInterrupt):
                file.truncate(begin)
                raise
            self.digest.update(data)

    def open(self) -> io.FileIO:
        """Return the file; the first call creates it and writes its header."""
        if self._file is None:
            self.journal.save()  # first: a partial file without a journal cannot be continued
            self._file = self.target.partial.open("wb", buffering=0)
            self.append(self.head)
        return self._file

    def commit(self, names: Sequence[str]) -> None:
        self.journal.record(names, self.open().tell(), self.digest.hexdigest())
        if self.journal.is_due:
            self.save()

    def save(self) -> None:
        with write_errors_explained(self.target.path):
            os.fsync(self.open().fileno())
            self.journal.save()

    def finish(self) -> None:
        self.target.check_meanwhile(self.journal.replaces)
        with write_errors_explained(self.target.path):
            os.fsync(self.open().fileno())
            os.replace(self.target.partial, self.target.path)
        self.journal.remove()

    def close(self) -> None:
        if self._file is None:
            return
        if not self.counts.predictions:
            self.target.partial.unlink(missing_ok=True)
            self.journal.remove()
        elif self.target.partial.exists():
            with suppress(UserError):  # a full disk: the last journal stays
                self.save()
        self._file.close()

    @property
    def kept(self) -> str:
        return self.target.describe_kept(self.counts.predictions, self.journal)


def write_all(file: io.FileIO, data: bytes) -> None:
    """Write all bytes; a disk that is nearly full takes some of them before it raises an error."""
    while data:
        data = data[file.write(data) :]


def open_rows(target: Target | None, output_format: OutputFormat, journal: Journal) -> Output:
    """Return the output of a target by its name."""
    if target is None:
        return Output(journal)
    if target.has_shards:
        # Imported here because pyarrow takes a third of a second and few commands write Parquet.
        from ser.inference.shards import Shards

        return Shards(target, output_format, journal)
    return RowFile(target, output_format, journal)


@contextmanager
def open_output(target: Target | None, output_format: OutputFormat, journal: Journal) -> Iterator[Output]:
    """Yield the output of a reserved target, or one that counts without a target; finish it at the end.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the message describes what is kept.
        UserError: The disk is full.
    """
    output = open_rows(target, output_format, journal)
    is_explained = False
    try:
        try:
            yield output
            output.finish()
        finally:
            output.close()
        is_explained = True
    except KeyboardInterrupt as interruption:
        is_explained = True
        raise Interrupted(f"interrupted; {output.kept}") from interruption
    finally:
        if not is_explained and target is not None and output.counts.predictions:
            log.warning("%s", output.kept)


def line_format(output_format: OutputFormat, suffix: str) -> tuple[str, Callable[[WindowPrediction], str]]:
    """Return the header of a file, and the function that formats a line."""
    if suffix == ".csv":
        return csv_line(output_format.header()), lambda window: csv_line(output_format.row(window))
    return "", lambda window: json_line(output_format, window)


def csv_line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def json_line(output_format: OutputFormat, window: WindowPrediction) -> str:
    return json.dumps(output_format.as_dict(window), ensure_ascii=False) + "\n"
