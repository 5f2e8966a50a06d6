"""Where answers go: a file that grows with each of them, CSV or JSON lines by its suffix.

Until the last answer is there the file is called `answers.partial.csv`. Each row is written whole, at once, so that
whatever ends the command leaves its answers so far, under a name that says that more were to come.
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
from ser.files import check_kind, failures_told, is_special
from ser.inference.predictions import Answer, Form
from ser.locks import locked

log = logging.getLogger("ser")

Write = Callable[[Answer], None]


@contextmanager
def reserved(output: str | None, overwrite: bool) -> Iterator[Path | None]:
    """Hold the lock of the file that answers will go to; so that it can be written is known before hours of work.

    Raises:
        UserError: something is there already, another command writes there, or the place is not writable.
    """
    if output is None:
        yield None
        return
    target = Path(output).resolve()  # what a link leads to: the link stays
    if target.suffix != Path(output).suffix:
        raise UserError(f"output={output}: it is a link to {target}, whose name ends otherwise; give that name")
    if is_special(target):
        raise UserError(f"output={output}: it is a pipe or a device; answers go to a file")
    check_kind(target, folder=False)
    with locked(target):
        check_free(target, overwrite)
        yield target


def check_free(target: Path, overwrite: bool) -> None:
    """Raise a UserError where answers are already, unless they may be overwritten."""
    unfinished = partial_of(target)
    check_kind(unfinished, folder=False)
    if target.exists() and not overwrite:
        raise UserError(f"output={target}: a file is here; give another name, or overwrite=true to replace it")
    if unfinished.exists() and not overwrite:
        raise UserError(
            f"output={target}: {unfinished.name} of a run that did not finish is here; move it away, or give "
            "overwrite=true to replace it"
        )


def partial_of(target: Path) -> Path:
    """What the file is called until it is finished."""
    return target.with_name(f"{target.stem}.partial{target.suffix}")


@contextmanager
def written(target: Path | None, form: Form) -> Iterator[Write]:
    """Take answers one by one, for a file that `reserved` gave or for none; the file gets its name at the end.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; says what is kept.
        UserError: the disk is full.
    """
    rows = Counter() if target is None else Rows(target, form)
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
    """Counts answers that no file holds."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def add(self, answer: Answer) -> None:
        self.count += 1

    def finish(self) -> None: ...

    @property
    def kept(self) -> str:
        """What there is of the answers when something ends the command."""
        return f"there were {self.count} answers; output=FILE.csv would keep them"


class Rows(Counter):
    """A file of answers, made with the first of them."""

    def __init__(self, target: Path, form: Form) -> None:
        super().__init__()
        self.target, self.partial = target, partial_of(target)
        self.head, self.text = lines_of(form, target.suffix)
        self.replaces = target.exists()
        self._file: io.FileIO | None = None

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
            if not self.count:
                self.partial.unlink(missing_ok=True)

    def add(self, answer: Answer) -> None:
        self.append(self.text(answer))
        super().add(answer)

    def append(self, text: str) -> None:
        """Write a text as a whole or not at all, whatever interrupts it."""
        with failures_told(self.target):
            file = self.opened()
            begin, data = file.tell(), text.encode("utf-8", "backslashreplace")
            try:
                while data:
                    data = data[file.write(data) :]
            except (OSError, KeyboardInterrupt):
                file.truncate(begin)
                raise

    def opened(self) -> io.FileIO:
        """The file, with its head; the first row needs it, or the end."""
        if self._file is None:
            self._file = self.partial.open("wb", buffering=0)
            self.append(self.head)
        return self._file

    def finish(self) -> None:
        """Give the file its name."""
        if self.target.exists() and not self.replaces:
            raise UserError(f"{self.target}: a file has appeared here meanwhile")
        with failures_told(self.target):
            os.fsync(self.opened().fileno())
            os.replace(self.partial, self.target)

    @property
    def kept(self) -> str:
        return f"{self.count} answers so far are kept in {self.partial}" if self.count else "there was no answer yet"


def lines_of(form: Form, suffix: str) -> tuple[str, Callable[[Answer], str]]:
    """The head of a file, and what makes a line of an answer."""
    if suffix == ".csv":
        return csv_line(form.header()), lambda answer: csv_line(form.row(answer))
    return "", lambda answer: json_line(form, answer)


def csv_line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def json_line(form: Form, answer: Answer) -> str:
    return json.dumps(form.as_dict(answer), ensure_ascii=False) + "\n"
