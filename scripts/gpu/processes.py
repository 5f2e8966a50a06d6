"""Processes that end when their time is over, with everything that they started."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Ended(NamedTuple):
    """How a process ended."""

    status: int | None
    """None: its time was over."""
    output: str
    """What it printed, errors included."""
    seconds: float


def run(command: Sequence[str], limit: float, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command for `limit` seconds at most; afterwards none of its processes is left."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            status: int | None = process.wait(max(limit, 0.1))
        except subprocess.TimeoutExpired:
            status = None
        finally:  # also where this process is interrupted
            end_group(process)
        output.seek(0)
        return Ended(status, output.read(), time.monotonic() - started)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what a process started and left behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
