"""Output to the terminal, and the same log lines in run.log."""

import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ser.errors import UserError
from ser.garbage import keep_imported

log = logging.getLogger("ser")

Item = TypeVar("Item")

LINE_EVERY = 30.0
"""Seconds between two lines on the progress in a log."""
clock = time.monotonic

stderr = Console(stderr=True)
"""The console for progress bars and log lines; standard output carries only results."""


class ConsoleHandler(logging.Handler):
    """Prints one line per message, above any running bar; long lines are wrapped only in a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record unless it is for the log file only; `ser.cli` prints errors itself."""
        if getattr(record, "file_only", False):
            return
        style = "yellow" if record.levelno >= logging.WARNING else ""
        stderr.print(Text(record.getMessage(), style=style), soft_wrap=not stderr.is_terminal)


def start_logging() -> logging.Logger:
    """Send the package's log lines to the terminal; each command calls it once."""
    logger = logging.getLogger("ser")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [ConsoleHandler()]
    return logger


def quiet_transformers() -> None:
    """Turn off the progress bars and log messages of transformers and huggingface_hub; `ser` logs what matters."""
    with keep_imported():
        import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


class LogFile(logging.FileHandler):
    """A log file that drops lines on a full disk; the next write to the disk raises the error."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Do nothing; the base class prints a traceback for each line."""

    def close(self) -> None:
        """Close the file and drop the lines that could not be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append the package's log lines to a file as well."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("ser")
    logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        if not isinstance(error, UserError):  # the terminal shows a UserError in one line
            logger.exception("%s", error, extra={"file_only": True})
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def progress(
    items: Iterable[Item], description: str, total: int, done: int = 0, noun: str = "items"
) -> Iterator[Iterable[Item]]:
    """Show a progress bar while `items` are taken, or log a line now and then where there is no terminal.

    The bar ends with the block, also where an error ends the loop: the bar of a generator that an error leaves behind
    would stay, and a second one could not be shown beside it.

    Args:
        items: What is taken.
        description: The text before the bar.
        total: The number of all items, with those that were `done` before.
        done: The number of items that an earlier command has done.
        noun: The plural of an item, for the log.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True) as shown:
        task = shown.add_task(description, total=total, completed=done)
        lines = ProgressLines(noun, total, done)

        def count() -> Iterator[Item]:
            for number, item in enumerate(items, done + 1):
                yield item
                shown.advance(task)
                if not stderr.is_terminal:
                    lines.show(number)

        yield count()


class ProgressLines:
    """Log lines with the time that is left, `LINE_EVERY` seconds apart, for a log that shows no bar."""

    def __init__(self, noun: str, total: int, done: int) -> None:
        self.noun, self.total, self.begin = noun, total, done
        self.started = self.latest = clock()

    def show(self, done: int) -> None:
        """Log a line if one is due."""
        now = clock()
        if now - self.latest < LINE_EVERY or done >= self.total:
            return
        self.latest = now
        left = (now - self.started) * (self.total - done) / (done - self.begin)
        log.info("%s of %s %s, %s left", group_digits(done), group_digits(self.total), self.noun, describe_time(left))


def group_digits(number: int) -> str:
    """Return a number with spaces between groups of three digits.

    >>> group_digits(1234567)
    '1 234 567'
    """
    return f"{number:,}".replace(",", " ")


def describe_time(seconds: float) -> str:
    """Return a time in its two largest units.

    >>> describe_time(3), describe_time(61), describe_time(8000), describe_time(200_000)
    ('1 min', '2 min', '2 h 14 min', '2 d 7 h')
    """
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def bar() -> Progress:
    """Return a progress bar that the caller advances, with a field `note` for the latest figures."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=stderr, transient=True)


def byte_bar() -> Progress:
    """Return a progress bar of bytes, with the speed."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=stderr, transient=True)


def print_report(folder: Path) -> None:
    """Print the classification report of a folder and the path of its HTML report, or else of the folder."""
    print((folder / "classification_report.txt").read_text(encoding="utf-8"))
    page = folder / "report.html"
    print(page if page.is_file() else folder)
