"""Output to the terminal, and the same log lines in run.log."""

import logging
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

Item = TypeVar("Item")

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
def progress(items: Iterable[Item], description: str, total: int) -> Iterator[Iterable[Item]]:
    """Show a progress bar while `items` are taken; it ends with the block, also where an error ends the loop.

    The bar of a generator that an error leaves behind would stay, and a second one could not be shown beside it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True) as shown:
        task = shown.add_task(description, total=total)

        def count() -> Iterator[Item]:
            for item in items:
                yield item
                shown.advance(task)

        yield count()


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
