"""Programs in several processes, started as torchrun or srun start them."""

import os
import socket
import subprocess

from helpers.commands import PYTHON


def variables(size, port=None):
    """The environment of each process of a group, on a free port of this machine."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]


def start(size, *arguments, cwd=None):
    """Start a group of one program; `cwd` is the folder of all processes, or a list with that of each."""
    return start_each([arguments] * size, cwd)


def start_each(programs, cwd=None):
    """Start a group, each process with the arguments of its own."""
    folders = cwd if isinstance(cwd, list) else [cwd] * len(programs)
    environments = variables(len(programs)) if len(programs) > 1 else [dict(os.environ)]
    return [
        subprocess.Popen(
            [PYTHON, *arguments],
            env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for arguments, env, folder in zip(programs, environments, folders, strict=True)
    ]  # fmt: skip


def finish(group):
    """Wait for a group; return the status, the output and the errors of each process."""
    ends = [process.communicate() for process in group]
    return [(process.returncode, *end) for process, end in zip(group, ends, strict=True)]
