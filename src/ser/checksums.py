"""Checksums of the files of a folder, so that a damaged file is reported and never used, and of samples."""

import hashlib
import json
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from ser.files import write_json

FILE = "checksums.json"
BLOCK = 2**24
"""Bytes read at a time."""


def write(folder: Path, pattern: str = "*") -> None:
    """Write the checksums of the files of a folder whose names match the pattern."""
    names = sorted(path.name for path in folder.glob(pattern) if path.is_file() and path.name != FILE)
    write_json(folder / FILE, {name: checksum(folder / name) for name in names})


def hash_samples(samples: npt.NDArray[np.int16]) -> str:
    """Return the sha256 of the samples of a clip, whatever the byte order of the machine."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<i2").data).hexdigest()


def checksum(path: Path) -> str:
    """Compute the XXH3 hash of a file: it detects accidental damage, several times faster than a cryptographic hash."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return f"xxh3_128:{digest.hexdigest()}"


def fault(folder: Path, pattern: str = "*") -> str | None:
    """Compare the files of a folder with its recorded checksums.

    Args:
        folder: The folder. One from an earlier version has no checksums and is not checked.
        pattern: Pattern of the file names that are checked.

    Returns:
        A description of the first damaged or missing file; None where every file is unchanged.
    """
    if not (folder / FILE).is_file():
        return None
    try:
        recorded = dict(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return f"{folder / FILE} is damaged"
    looked_at = [(folder / name, known) for name, known in recorded.items() if fnmatch(name, pattern)]
    return next(filter(None, (differs(path, known) for path, known in looked_at)), None)


def differs(path: Path, recorded: str) -> str | None:
    if not path.is_file():
        return f"{path} is gone"
    return None if checksum(path) == recorded else f"{path} is damaged"
