"""What Windows lacks: no module needs it to be imported."""

import subprocess

from helpers.commands import FRESH_PYTHON

WITHOUT_POSIX = """
import sys
import numpy, torch, transformers, datasets, soundfile, sklearn  # which may use them where they are
for name in ("resource", "fcntl", "termios", "pwd", "grp"):
    sys.modules[name] = None
import importlib, pkgutil, ser
for module in pkgutil.walk_packages(ser.__path__, "ser."):
    if not module.name.startswith(("ser.serving", "ser.__main__", "ser.export.predict")):
        # Gradio, the command itself, and a file that is copied beside an export and imports what lies there.
        importlib.import_module(module.name)
from ser.training.throughput import peak_memory
"""


def test_every_module_is_imported_where_posix_modules_are_missing():
    result = subprocess.run([FRESH_PYTHON, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
