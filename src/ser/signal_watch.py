"""Signals at the moment they come, also while C code runs: Python calls no handler before it returns.

The backward pass of a large encoder is one such call, of many seconds on a CPU.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

END = b"\0"
"""No number of a signal."""


@contextmanager
def watched(see: Callable[[int], None]) -> Iterator[None]:
    """Call a function with the number of each signal that has a handler of Python, in a thread; for the main thread."""
    reading, writing = socket.socketpair()  # on Windows a pipe cannot be written without waiting
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=read, args=(reading, see), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writing.send(END)  # a close would not reach the thread while a forked process has the socket open too
        thread.join()
        writing.close()
        reading.close()


def read(reading: socket.socket, see: Callable[[int], None]) -> None:
    while (number := reading.recv(1)) != END:
        see(number[0])


def forget() -> None:
    """Write no signals of a forked process, such as a worker of a data loader, to those of this one."""
    signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
