"""The scripts of the project as modules."""

import importlib
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "scripts"


def import_script(monkeypatch, name):
    """Import a script by its name; its neighbours can be imported until the test ends."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)
