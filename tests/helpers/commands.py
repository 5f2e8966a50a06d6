"""The command line as a user runs it: in a process of its own, with the status and the output of one.

The process is forked from one that has done the imports, which take longer than most commands here (`fork_server.py`).
Programs of tests start in the same way, with PYTHON in place of `sys.executable`.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from helpers.fork_server import FOLDER

LAUNCHERS = Path(os.environ[FOLDER]) / "ser-bin"
"""A folder for PATH, with `python` and `ser`."""
PYTHON = str(LAUNCHERS / "python")
FRESH_PYTHON = str(LAUNCHERS.with_name("fresh-bin") / "python")
"""Has imported neither `ser` nor a library that reads HF_HOME or HF_ENDPOINT when it is imported."""


def ser(*arguments, cwd=None, env=None, input=b"", text=True, python=PYTHON):
    """Run `ser` in a fork, and give what `subprocess.run` would."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(input)
        stdin.seek(0)
        encoding = "utf-8" if text else None
        command = [python, "-m", "ser", *arguments]
        return subprocess.run(command, stdin=stdin, capture_output=True, cwd=cwd, env=env, encoding=encoding)
