"""The programs of tests are forked from a process that has done the imports: they are as programs of `python` are."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from helpers.commands import FRESH_PYTHON, PYTHON

PROGRAMS = {
    "arguments": "import sys; print(sys.argv)",
    "folder and variables": "import os; print(os.getcwd(), os.environ['FOR_TESTS'])",
    "input": "print(input())",
    "status": "import sys; sys.exit(3)",
    "line": "import sys; sys.exit('a line')",
    "exception": "raise ValueError('a mistake')",
    "end of the process": "import atexit; atexit.register(print, 'the end')",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "flushed": "import os; print('a line'); os._exit(0)",
    "main": "print(__name__, __import__('__main__').__name__)",
}


@pytest.mark.parametrize(
    ("python", "name"),
    [
        pytest.param(python, name, id=f"{server}, {name}")
        for server, python in (("ser", PYTHON), ("fresh", FRESH_PYTHON))
        for name in PROGRAMS
        if (server, name) != ("fresh", "interrupted")  # which nothing uses, and which ends with 1
    ],
)
def test_a_forked_program_ends_and_prints_as_one_of_python(python, name, tmp_path):
    found, expected = (
        subprocess.run(
            [executable, *["-u"] * (name == "flushed"), "-c", PROGRAMS[name], "an argument", "ü"],
            cwd=tmp_path, env={**os.environ, "FOR_TESTS": "1"}, input="a line\n", capture_output=True, text=True,
        )
        for executable in (python, sys.executable)
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (expected.returncode, expected.stdout)
    assert found.stderr.splitlines()[-1:] == expected.stderr.splitlines()[-1:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_forked_program(number):
    program = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait(600)"
    with subprocess.Popen([PYTHON, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        forked = psutil.Process(int(client.stdout.readline()))
        client.send_signal(number)
        assert client.wait(60) == -number
    forked.wait(60)
