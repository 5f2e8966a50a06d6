"""Files appear under their final name whole or not at all."""

import csv
import errno
import glob
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ser.errors import UserError

LONGEST_NAME = 255 - len("..12345678.tmp")
"""Bytes: what nearly all file systems allow, less what `hidden` adds."""
REPLACED = "replaced"
"""In a temporary folder: the folder that makes way, between the two renames that replace it."""


@contextmanager
def replacing(target: Path, folder: bool = False) -> Iterator[Path]:
    """Give a temporary name beside `target`; rename it to `target` at the end, or remove it on any failure.

    A link is followed: what it points to is replaced. A pipe or a device is written as it is.

    Args:
        target: the final name. Missing folders above it are made.
        folder: the temporary name will become a folder, not a file. A folder that is there is removed when the new one
            is complete.

    Raises:
        UserError: a folder is where a file should go, or the other way round; the place cannot be written; or the disk
            is full.
    """
    if is_special(target):
        yield target
        return
    with ExitStack() as stack:
        with write_errors_explained(target):
            check_kind(target, folder)
            final = target.resolve()
            stack.enter_context(make_parents(final))
            temporary = Path(stack.enter_context(temporary_folder(final))) / "new"
        with full_disk_explained(target):
            yield temporary
        with write_errors_explained(target):
            put(temporary, final)


def is_special(target: Path) -> bool:
    """Whether a path is a device, a pipe or a socket."""
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def check_kind(target: Path, folder: bool) -> None:
    """Raise a UserError where a folder would take the place of a file, or a file that of a folder."""
    if target.is_dir() and not folder:
        raise UserError(f"{target}: a folder is here, and a file cannot take its place; give another name")
    if target.is_file() and folder:
        raise UserError(f"{target}: a file is here, and a folder cannot take its place; give another name")


def temporary_folder(final: Path) -> tempfile.TemporaryDirectory[str]:
    """A new folder beside `final`, under a name that no other process or host has."""
    return tempfile.TemporaryDirectory(
        prefix=hidden(final.name, ""), suffix=".tmp", dir=final.parent, ignore_cleanup_errors=True
    )


def put(temporary: Path, final: Path) -> None:
    """Rename `temporary` to `final`; a folder there makes way, and stays where it was if anything goes wrong."""
    if not final.is_dir():
        os.replace(temporary, final)
        return
    aside = temporary.with_name(REPLACED)
    try:
        os.rename(final, aside)
        os.rename(temporary, final)
    except BaseException:
        restore(aside, final)
        raise


def restore(aside: Path, final: Path) -> None:
    if aside.exists() and not final.exists():
        os.rename(aside, final)


def remove_leftovers(target: Path) -> None:
    """Remove what killed processes left of writing `target`; only for who holds its lock, so that nobody writes it.

    A folder that was just making way for a new one is put back.
    """
    final = target.resolve()
    for beside in final.parent.glob(f"{glob.escape(hidden(final.name, ''))}????????.tmp"):
        restore(beside / REPLACED, final)
        remove(beside)


def hidden(name: str, suffix: str) -> str:
    """A hidden name that belongs to `name`: `.name.suffix`; shortened where it would be too long.

    >>> hidden("run", "lock")
    '.run.lock'
    """
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}.{suffix}"


@contextmanager
def make_parents(target: Path) -> Iterator[None]:
    """Make the folders above `target`, and remove those that are still empty at the end."""
    missing = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            for parent in missing:
                parent.rmdir()


@contextmanager
def write_errors_explained(target: Path) -> Iterator[None]:
    """Raise in one line why `target` cannot be written: its name, its folder, a full disk.

    Raises:
        UserError: for any OSError.
    """
    try:
        with full_disk_explained(target):
            yield
    except OSError as error:
        raise UserError(f"{target}: it cannot be written ({error.strerror or error})") from error


@contextmanager
def full_disk_explained(target: Path) -> Iterator[None]:
    """Raise in one line that the disk is full.

    Raises:
        UserError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"no space left on the disk for {target}") from error


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Wait until a folder and the files in it are on the disk, out of reach of a power cut."""
    windows = os.name == "nt"  # it opens no folder, and syncs only what may be written
    for path in [*folder.iterdir(), *[folder] * (not windows)]:
        handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
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


def printable(name: str) -> str:
    r"""A file's name as it can be shown and written: control characters and bytes that are no text are escaped.

    >>> print(printable("a\nb"))
    a\nb
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)
