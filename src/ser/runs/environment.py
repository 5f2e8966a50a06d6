"""The software, machine and command behind a result."""

import os
import platform
import shlex
import subprocess
import sys
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ser.processes import count_joined

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "numpy", "scikit-learn", "soundfile", "soxr")
DISTRIBUTION = "ser-finetune"
"""The name of this package on an index; the command and the import are called `ser`."""


STARTED_AS: ContextVar[str | None] = ContextVar("STARTED_AS", default=None)
"""The subcommand that runs another one's work, such as `cross-corpus` that of `train`."""


def describe_environment(command: str) -> dict[str, Any]:
    """Return versions, machine and command line, without names of persons or hosts and without secrets.

    Args:
        command: the subcommand, which the front door has taken off `sys.argv`.
    """
    command = STARTED_AS.get() or command
    return {
        "command": shlex.join(["ser", command, *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": {"ser": own_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "commit": commit(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": count_joined(),
        "gpu": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def own_version() -> str:
    """Return the version of this package; "not installed" in a checkout that runs as `python -m ser`."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str | None:
    """Return the commit of the checkout that the package runs from; None where it is installed."""
    here = Path(__file__).resolve().parents[3]
    if not (here / ".git").exists():
        return None
    answer = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
