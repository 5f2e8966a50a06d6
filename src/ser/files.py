"""Files appear under their final name whole or not at all."""

import csv
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ser.errors import UserError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary name beside `target`; rename it to `target` at the end, or remove it on any failure.

    The temporary name may become a file or a folder. A folder that is replaced is removed only when the new one is
    complete.

    Raises:
        UserError: the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    remove(temporary)
    try:
        yield temporary
        if target.is_dir():
            remove(target)
        os.replace(temporary, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"no space left on the disk for {target}") from error
        raise
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Wait until a folder and the files in it are on the disk, out of reach of a power cut."""
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            # Some network file systems know no such call for folders.
            if path != folder or error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)


def write_text(target: Path, text: str) -> None:
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, content: Mapping[str, Any]) -> None:
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(target: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with replacing(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
