"""Folders that take long to make, made once for all processes of pytest-xdist; no test changes what is in them."""

import os
import shutil
from contextlib import ExitStack

from filelock import FileLock


def made_once(tmp_path_factory, name, make):
    """The folder of that name, which `make` has filled in this process or in another one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not folder.with_suffix(".made").exists():
            folder.mkdir()
            with ExitStack() as undo:
                undo.callback(shutil.rmtree, folder)  # where it skips or fails: the next test tries again
                make(folder)
                undo.pop_all()
            folder.with_suffix(".made").touch()
    return folder
