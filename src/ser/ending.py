"""The end of a command: a status and at most one line on standard error.

Nothing heavy is imported here, so that Ctrl-C ends a command in one line even during its imports.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from ser.error_line import fail, is_silent, let_the_first_print, reader_gone, say
from ser.signal_watch import watched

INTERRUPTED = 130
"""128 plus the number of SIGINT, as in shells; also the status after SIGTERM and SIGUSR1."""
GIVE_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: the same command goes on. The batch sheets of scripts/slurm requeue a job that ends so."""
READER_GONE = 141
"""128 plus the number of SIGPIPE."""

SIGNALS = [signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGUSR1", None)])]
"""Signals that interrupt a command; SIGUSR1 is what `sbatch --signal` sends before the time is up."""
HANDED_OVER = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
"""Signals on which a launcher that runs a command, such as submitit, may have a handler of its own."""


@dataclass
class Interruption:
    """The signal that interrupted the command of this process, and what its status then is."""

    number: int | None = None
    """Of the first signal."""
    terminated: int = INTERRUPTED
    """The status after any signal but SIGINT."""

    @property
    def status(self) -> int:
        return INTERRUPTED if self.number in (None, signal.SIGINT) else self.terminated

    def note(self, number: int) -> None:
        """Record the first signal."""
        self.number = number if self.number is None else self.number


interruption = Interruption()


@contextmanager
def in_one_line(terminated: int = INTERRUPTED) -> Iterator[None]:
    """End the process with one line and a status where the command inside is interrupted or fails.

    HYDRA_FULL_ERROR=1 shows the traceback of an error instead.

    Args:
        terminated: The status after SIGTERM and SIGUSR1.
    """
    interruption.number, interruption.terminated = None, terminated
    listen()
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        if not is_silent():
            say(str(error) or "interrupted")
        raise SystemExit(interruption.status) from None
    except BrokenPipeError as error:
        if not reader_gone():
            fail(error)
        raise SystemExit(READER_GONE) from None
    except Exception as error:
        fail(error)
    finally:
        let_the_first_print()
        # From here on the interpreter shuts down, where an exception would print a traceback.
        for number in SIGNALS:
            if callable(signal.getsignal(number)):
                signal.signal(number, end_at_once)


def listen() -> None:
    """Install handlers: the first signal interrupts the command, a second Ctrl-C ends it at once.

    A second SIGTERM is ignored, because `timeout` and job schedulers send it to the process and to its group.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` and a shell's `&` ignore it
            signal.signal(number, interrupt)
    for number in SIGNALS[2:]:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)
    sys.unraisablehook = repeat_interruption


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    interruption.note(number)
    listen_for_another()
    raise KeyboardInterrupt


def listen_for_another() -> None:
    """Install the handlers for signals after the first one."""
    signal.signal(signal.SIGINT, end_at_once)
    for number in SIGNALS[1:]:
        if signal.getsignal(number) is interrupt:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred(notice: str = "") -> Iterator[Callable[[], bool]]:
    """Only record the first signal inside, so that the block can end at a point of its own choice.

    Only handlers of `listen` are replaced, and those of a launcher on SIGUSR1 and SIGUSR2, which are called at the end.
    Outside the main thread, where no handler can be installed, nothing is.

    Args:
        notice: What a terminal shows at the first signal.

    Yields:
        A function that returns whether a signal has come.

    Raises:
        KeyboardInterrupt: a signal came, also where the block ended by itself.
    """
    received: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)
        interruption.note(number)
        if before.get(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, end_at_once)

    before = replaceable_handlers()
    watch = watched(Watch(notice)) if interrupt in before.values() else nullcontext()
    try:
        for number in before:
            signal.signal(number, record)
        with watch:
            yield lambda: bool(received)
    except Exception as error:
        raise_lost_interruption(error)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received and interrupt in before.values():
            listen_for_another()
        for number in dict.fromkeys(received):
            if before[number] is not interrupt:
                signal.raise_signal(number)
    if received:
        raise KeyboardInterrupt


@dataclass
class Watch:
    """What happens at once where `deferred` only records: a notice at the first signal, the end at another Ctrl-C."""

    notice: str
    first: bool = True

    def __call__(self, number: int) -> None:
        if number not in SIGNALS:
            return
        if not self.first and number == signal.SIGINT:
            end_at_once(number, None)
        if self.first and self.notice and sys.stderr.isatty():
            line = f"\r\x1b[2Kser: {self.notice}\n"  # in place of a bar, which comes back
            os.write(sys.stderr.fileno(), line.encode())
        self.first = False


def replaceable_handlers() -> dict[int, Any]:
    """Return the handlers that `deferred` replaces, by their signals."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in {*SIGNALS, *HANDED_OVER}}
    return {
        number: handler
        for number, handler in handlers.items()
        if handler is interrupt or (number in HANDED_OVER and callable(handler) and handler is not end_at_once)
    }


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

    if interruption.number is not None and not is_explained(error):
        raise KeyboardInterrupt from error


def end_at_once(number: int, frame: FrameType | None) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # a bar hides the cursor
    interruption.note(number)
    os._exit(INTERRUPTED if number == signal.SIGINT else interruption.status)
