"""What the user sees in the terminal, and the same lines in run.log."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from rich.text import Text

from ser.errors import UserError

Item = TypeVar("Item")

stderr = Console(stderr=True)
"""Progress and log lines; standard output carries only results."""


class ConsoleHandler(logging.Handler):
    """One line a message, above any running bar; only a terminal gets a long one wrapped."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, unless it was meant for the file: the front door prints errors itself."""
        if getattr(record, "file_only", False):
            return
        style = "yellow" if record.levelno >= logging.WARNING else ""
        stderr.print(Text(record.getMessage(), style=style), soft_wrap=not stderr.is_terminal)


def start_logging() -> logging.Logger:
    """Send the package's log lines to the terminal; called once by each command."""
    logger = logging.getLogger("ser")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [ConsoleHandler()]
    return logger


def quiet_transformers() -> None:
    """Keep the library's bars and reports off the terminal; what they say that matters, `ser` says itself."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


class LogFile(logging.FileHandler):
    """A log that leaves out what a full disk does not take: whatever writes to the disk next says that it is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing, where the base class prints a traceback for each line."""

    def close(self) -> None:
        """Close, with what could not be written left out."""
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write the package's log lines to a file as well, after what it already holds."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("ser")
    logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        if not isinstance(error, UserError):  # the terminal gets one line of it
            logger.exception("%s", error, extra={"file_only": True})
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


def progress(items: Iterable[Item], description: str, total: int) -> Iterable[Item]:
    """Show a bar while `items` are consumed."""
    return track(items, description=description, total=total, console=stderr, transient=True)


def bar() -> Progress:
    """A bar whose owner advances it, with a field `note` for the latest figures."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=stderr, transient=True)


def print_report(folder: Path) -> None:
    """Print the classification report of a folder, and where the rest is."""
    print((folder / "classification_report.txt").read_text(encoding="utf-8"))
    page = folder / "report.html"
    print(page if page.is_file() else folder)
