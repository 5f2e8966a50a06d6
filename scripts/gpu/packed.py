"""The wheels of scripts/gpu_pack.sh, beside what a machine has already."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path


def installed(wheels: Path, site: Path) -> str:
    """Put the distributions that are missing here into the folder `site`, for PYTHONPATH; nothing here changes."""
    missing = [wheel for wheel in sorted(wheels.glob("*.whl")) if not is_here(wheel)]
    if missing:
        options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target", str(site)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *map(str, missing)], check=True)
    return str(site)


def is_here(wheel: Path) -> bool:
    try:
        metadata.distribution(name_of(wheel))
    except metadata.PackageNotFoundError:
        return False
    return True


def name_of(wheel: Path) -> str:
    """The distribution of a wheel.

    >>> name_of(Path("hydra_core-1.3.8-py3-none-any.whl"))
    'hydra-core'
    """
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
