"""`ser.ending.deferred`: a block that a signal does not interrupt, but asks to end."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from ser import ending
from ser.errors import UserError

NUMBERS = [number.name for number in ending.SIGNALS]


def defer(work, notice=""):
    """Call a function in a block whose signals are deferred."""
    with ending.deferred(notice) as asked:
        work(asked)


def handlers():
    return {number: signal.getsignal(number) for number in (*ending.SIGNALS, *ending.HANDED_OVER)}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_first_signal_is_recorded_and_ends_the_block_at_its_end(name, begin_command):
    begin_command()
    done = []

    def work(asked):
        done.append(asked())
        signal.raise_signal(getattr(signal, name))
        done.append(asked())

    with pytest.raises(KeyboardInterrupt):
        defer(work)
    assert done == [False, True]
    assert ending.interruption.number == getattr(signal, name)
    assert signal.getsignal(signal.SIGINT) is ending.end_at_once
    assert all(signal.getsignal(number) is signal.SIG_IGN for number in ending.SIGNALS[1:])


def test_without_a_signal_a_block_leaves_the_handlers_as_they_were(begin_command):
    begin_command()
    before = handlers()
    with ending.deferred() as asked:
        assert handlers() != before
        assert not asked()
    assert handlers() == before


def test_another_sigterm_is_ignored_inside_and_after_the_block(begin_command):
    begin_command()
    steps = []

    def work(asked):
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
            steps.append(asked())

    with pytest.raises(KeyboardInterrupt):
        defer(work)
    signal.raise_signal(signal.SIGTERM)
    assert steps == [True, True]


SECOND = """
import signal
from ser import ending
with ending.in_one_line(), ending.deferred():
    signal.raise_signal(signal.{first})
    print("between", flush=True)
    signal.raise_signal(signal.SIGINT)
    print("after", flush=True)
"""


@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
def test_another_ctrl_c_ends_the_process_inside_the_block(first):
    result = subprocess.run([sys.executable, "-c", SECOND.format(first=first)], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "between\n", "")


# The main thread is in C code, without Python's handlers, for longer than the test may take.
IN_C = """
import hashlib, os, signal, threading
from ser import ending

def interrupt_twice():
    while True:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.01)

with ending.in_one_line(), ending.deferred():
    threading.Thread(target=interrupt_twice, daemon=True).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


def test_another_ctrl_c_ends_the_process_while_c_code_runs():
    assert subprocess.run([sys.executable, "-c", IN_C], timeout=60).returncode == 130


# What a terminal does to all processes of a command, the workers of a data loader among them.
WITH_A_WORKER = """
import os, signal
from ser import ending

with ending.in_one_line(), ending.deferred():
    reading, writing = os.pipe()
    if not os.fork():
        signal.raise_signal(signal.SIGINT)
        os.write(writing, b"1")
        os.read(0, 1)  # it outlives the block
        os._exit(0)
    os.read(reading, 1)
    signal.raise_signal(signal.SIGINT)
    print("stopped with a checkpoint", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without forks")
def test_the_ctrl_c_of_a_worker_is_not_another_one():
    command = [sys.executable, "-c", WITH_A_WORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "stopped with a checkpoint\n"
        assert process.wait(60) == 130


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated."), KeyboardInterrupt),
        (UserError("no space left"), UserError),
    ],
)
def test_an_error_after_a_signal_is_the_interruption_unless_it_is_one_of_the_users(error, seen, begin_command):
    begin_command()

    def work(asked):
        signal.raise_signal(signal.SIGTERM)
        raise error

    with pytest.raises(seen):
        defer(work)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="a system without SIGUSR2")
def test_the_handler_of_a_launcher_is_called_after_the_block(begin_command):
    begin_command()
    order = []

    def requeue(number, frame):
        order.append(number)
        sys.exit("requeued")

    def work(asked):
        signal.raise_signal(signal.SIGUSR2)
        order.append(asked())
        raise KeyboardInterrupt  # as training does when its checkpoint is written

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        with pytest.raises(SystemExit, match="requeued"):
            defer(work)
        assert order == [True, signal.SIGUSR2]
        assert signal.getsignal(signal.SIGUSR2) is requeue
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_in_another_thread_nothing_is_installed(begin_command):
    begin_command()
    before, seen = handlers(), []

    def work():
        with ending.deferred() as asked:
            seen.extend([handlers() == before, asked()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, False]


def test_the_handlers_of_a_notebook_are_left_alone():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ending.deferred(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="a system without terminals")
def test_a_terminal_shows_at_once_what_another_ctrl_c_does(begin_command, monkeypatch):
    begin_command()
    reading, writing = os.openpty()

    def work(asked):
        signal.raise_signal(signal.SIGINT)
        shown.append(os.read(reading, 1000))

    shown = []
    with open(writing, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with pytest.raises(KeyboardInterrupt):
            defer(work, "it stops soon; Ctrl-C again ends at once")
    os.close(reading)
    assert b"ser: it stops soon; Ctrl-C again ends at once" in shown[0]
