"""The end of a command: a status and at most one line on standard error.

Nothing heavy is imported here, so that Ctrl-C ends a command in one line even during its imports.
"""

import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""128 plus the number of SIGINT, as in shells; also the status after SIGTERM."""
READER_GONE = 141
"""128 plus the number of SIGPIPE."""

TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1"


@contextmanager
def in_one_line() -> Iterator[None]:
    """End the process with one line and a status where the command inside is interrupted or fails.

    HYDRA_FULL_ERROR=1 shows the traceback of an error instead.
    """
    listen()
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt as interruption:
        say(str(interruption) or "interrupted")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError as error:
        if not reader_gone():
            fail(error)
        raise SystemExit(READER_GONE) from None
    except Exception as error:
        fail(error)
    finally:
        # From here on the interpreter shuts down, where an exception would print a traceback.
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(number)):
                signal.signal(number, end_at_once)


def listen() -> None:
    """Install handlers: the first Ctrl-C or SIGTERM interrupts the command, a second Ctrl-C ends it at once.

    A second SIGTERM is ignored, because `timeout` and job schedulers send it to the process and to its group.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` and a shell's `&` ignore it
            signal.signal(number, interrupt)
    sys.unraisablehook = repeat_interruption


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, end_at_once)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def repeat_interruption(lost: "sys.UnraisableHookArgs") -> None:
    """Interrupt the command again where Python has dropped a KeyboardInterrupt, as in a finalizer."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    signal.signal(signal.SIGTERM, interrupt)
    threading.Timer(0.01, os.kill, [os.getpid(), signal.SIGTERM]).start()  # after the finalizer


def raise_lost_interruption(error: Exception) -> None:
    """Raise KeyboardInterrupt where an unexpected error follows a signal.

    C code can drop the KeyboardInterrupt and fail later, as torch does while it imports NumPy.
    """
    from ser.errors import is_explained

    if signal.getsignal(signal.SIGINT) is end_at_once and not is_explained(error):
        raise KeyboardInterrupt from error


def end_at_once(number: int, frame: FrameType | None) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # a bar hides the cursor
    os._exit(INTERRUPTED)


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


def fail(error: Exception) -> NoReturn:
    """Print an error and exit with status 1."""
    if TRACEBACK_WANTED:
        raise error
    tell(error)
    raise SystemExit(1)


def tell(error: Exception, job: str = "") -> None:
    """Print an error in one line, with the name of the sweep's job where there is one."""
    if TRACEBACK_WANTED:
        traceback.print_exception(error)
        return
    from ser.errors import explain, is_explained

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
