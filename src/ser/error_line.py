"""The line on standard error in which a command that fails or is interrupted ends.

Nothing heavy is imported here, so that Ctrl-C ends a command in one line even during its imports.
"""

import os
import select
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from typing import NoReturn

silent = False
"""Whether the end of this process is not printed, because the first process of its training prints for all."""

PRINTED_WITHIN = 5.0
"""Seconds in which the first of several processes prints its line."""

TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1"


def reader_gone() -> bool:
    """Return whether the reader of standard output is gone, as in `ser compare ... | head`; then silence it."""
    if not hasattr(select, "poll"):  # Windows
        return False
    asked = select.poll()
    asked.register(sys.stdout.fileno(), 0)
    gone = any(event & select.POLLERR for _, event in asked.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at exit
    return gone


def stay_silent() -> None:
    """Print nothing at the end of this process: the first process of a training prints for all."""
    global silent
    silent = True


def is_silent() -> bool:
    """Return whether the end of this process is not printed.

    Of the processes that a launcher started, the first one on each machine prints errors of the command line, which are
    the same in all.
    """
    return silent or os.environ.get("LOCAL_RANK", "0") != "0"


def let_the_first_print() -> None:
    """Wait a little before a failed process ends that prints nothing: torchrun then ends the one that prints."""
    if is_silent() and sys.exc_info()[0] is not None and "TORCHELASTIC_RUN_ID" in os.environ:
        with suppress(KeyboardInterrupt):
            threading.Event().wait(PRINTED_WITHIN)


def fail(error: Exception) -> NoReturn:
    """Print an error and exit with status 1."""
    if TRACEBACK_WANTED:
        raise error
    tell(error)
    raise SystemExit(1)


def tell(error: Exception, job: str = "") -> None:
    """Print an error in one line, with the name of the sweep's job where there is one."""
    from ser.errors import FailedElsewhereError, explain, is_explained

    if is_silent() or isinstance(error, FailedElsewhereError):
        return
    if TRACEBACK_WANTED:
        traceback.print_exception(error)
        return

    line = explain(error) if is_explained(error) else defect(error)
    say(line if line.startswith(job) else f"{job}: {line}")


def defect(error: Exception) -> str:
    """Write the traceback of an unexpected error to a file, and return the line that names the file."""
    from ser.errors import explain

    lines = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="ser-", suffix=".txt", delete=False, errors="backslashreplace"
    ) as file:
        file.write(lines)
    return f"this is a defect of ser, {type(error).__name__}: {explain(error)}; its traceback is in {file.name}"


def say(line: str) -> None:
    with suppress(OSError):
        print(f"ser: {line}", file=sys.stderr, flush=True)
