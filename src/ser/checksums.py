"""Checksums of the files of a folder: a damaged file is named, and never used."""

import json
from fnmatch import fnmatch
from pathlib import Path

import xxhash

from ser.files import write_json

FILE = "checksums.json"
BLOCK = 2**24
"""Bytes read at a time."""


def write(folder: Path, pattern: str = "*") -> None:
    """Record the checksum of each file of a folder whose name matches."""
    names = sorted(path.name for path in folder.glob(pattern) if path.is_file() and path.name != FILE)
    write_json(folder / FILE, {name: checksum(folder / name) for name in names})


def checksum(path: Path) -> str:
    """Compute the XXH3 of a file: it finds accidents, at a multiple of the speed of a cryptographic hash."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return f"xxh3_128:{digest.hexdigest()}"


def fault(folder: Path, pattern: str = "*") -> str | None:
    """Describe what differs from the record of a folder.

    Args:
        folder: an earlier version wrote no record: nothing is known of its files then.
        pattern: the names that are looked at.

    Returns:
        The first file that is damaged or gone; None where all are as they were written.
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
