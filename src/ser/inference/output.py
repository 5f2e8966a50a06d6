"""The file of predictions, CSV or JSON lines by its suffix.

Each prediction is appended to `NAME.partial.csv`, which is renamed after the last one. Rows are written whole: an
interrupted command leaves the predictions so far in the partial file.
"""

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ser.errors import Interrupted, UserError
from ser.files import check_kind, is_special, write_errors_explained
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import WindowPrediction
from ser.locks import locked

log = logging.getLogger("ser")

Write = Callable[[WindowPrediction], None]


@contextmanager
def reserve(given: str | None, overwrite: bool, key: str = "output") -> Iterator[Path | None]:
    """Check that a file can be written, before hours of work, and hold its lock until it is written.

    Args:
        given: The file; None: no file.
        overwrite: Whether the file may exist already.
        key: The key of the command line, for messages.

    Raises:
        UserError: The file exists, another command writes it, or the path is not writable.
    """
    if given is None:
        yield None
        return
    target = Path(given).resolve()  # the target of a link, so that the link is kept
    if target.suffix != Path(given).suffix:
        raise UserError(f"{key}={given}: it is a link to {target}, whose name ends otherwise; give that name")
    if is_special(target):
        raise UserError(f"{key}={given}: it is a pipe or a device; give the name of a file")
    check_kind(target, folder=False)
    with locked(target):
        check_free(target, overwrite, key)
        yield target


def check_free(target: Path, overwrite: bool, key: str) -> None:
    """Raise a UserError where the file or its partial file exists, unless it may be overwritten."""
    unfinished = partial_path(target)
    check_kind(unfinished, folder=False)
    if target.exists() and not overwrite:
        raise UserError(f"{key}={target}: a file is here; give another name, or overwrite=true to replace it")
    if unfinished.exists() and not overwrite:
        raise UserError(
            f"{key}={target}: {unfinished.name} of a run that did not finish is here; move it away, or give "
            "overwrite=true to replace it"
        )


def partial_path(target: Path) -> Path:
    """Return the name of the file until it is finished."""
    return target.with_name(f"{target.stem}.partial{target.suffix}")


@contextmanager
def open_writer(target: Path | None, output_format: OutputFormat) -> Iterator[Write]:
    """Yield a function that writes a prediction into a reserved file, or counts it without one.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the message describes what is kept.
        UserError: The disk is full.
    """
    rows = Counter() if target is None else RowFile(target, output_format)
    is_explained = False
    try:
        with rows:
            yield rows.add
            rows.finish()
        is_explained = True
    except KeyboardInterrupt as interruption:
        is_explained = True
        raise Interrupted(f"interrupted; {rows.kept}") from interruption
    finally:
        if not is_explained and target is not None and rows.count:
            log.warning("%s", rows.kept)


class Counter:
    """Counts predictions that are not written to a file."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def add(self, window: WindowPrediction) -> None:
        self.count += 1

    def finish(self) -> None: ...

    @property
    def kept(self) -> str:
        """The message about the kept predictions when the command ends early."""
        return f"there were {self.count} predictions; output=FILE.csv would keep them"


class RowFile(Counter):
    """A file of predictions, created with the first prediction."""

    def __init__(self, target: Path, output_format: OutputFormat) -> None:
        super().__init__()
        self.target, self.partial = target, partial_path(target)
        self.head, self.format = line_format(output_format, target.suffix)
        self.replaces = target.exists()
        self._file: io.FileIO | None = None

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
            if not self.count:
                self.partial.unlink(missing_ok=True)

    def add(self, window: WindowPrediction) -> None:
        self.append(self.format(window))
        super().add(window)

    def append(self, text: str) -> None:
        """Write a text as a whole or not at all, even when interrupted."""
        with write_errors_explained(self.target):
            file = self.open()
            begin, data = file.tell(), text.encode("utf-8", "backslashreplace")
            try:
                while data:
                    data = data[file.write(data) :]
            except (OSError, KeyboardInterrupt):
                file.truncate(begin)
                raise

    def open(self) -> io.FileIO:
        """Return the file; the first call creates it and writes its header."""
        if self._file is None:
            self._file = self.partial.open("wb", buffering=0)
            self.append(self.head)
        return self._file

    def finish(self) -> None:
        """Rename the partial file to its final name."""
        if self.target.exists() and not self.replaces:
            raise UserError(f"{self.target}: a file has appeared here meanwhile")
        with write_errors_explained(self.target):
            os.fsync(self.open().fileno())
            os.replace(self.partial, self.target)

    @property
    def kept(self) -> str:
        return (
            f"{self.count} predictions so far are kept in {self.partial}"
            if self.count
            else "there was no prediction yet"
        )


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
