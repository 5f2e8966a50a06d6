"""Folders that take long to make, made once for all processes of pytest-xdist; no test changes what is in them."""

import os

from filelock import FileLock


def made_once(tmp_path_factory, name, make):
    """The folder of that name, which `make` has filled in this process or in another one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not folder.with_suffix(".made").exists():
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder
