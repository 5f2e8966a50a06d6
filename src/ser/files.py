"""Atomic writes: a file appears under its final name only when it is complete."""

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
"""Bytes of a name: the limit of nearly all file systems, less what `hidden` adds."""
REPLACED = "replaced"
"""Name of the old folder inside the temporary one, between the two renames that replace it."""


@contextmanager
def replacing(target: Path, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` at the end, or remove it on failure.

    A link is followed, and the file that it points to is replaced. A pipe or a device is written directly.

    Args:
        target: The final path. Missing parent folders are created.
        folder: Whether the temporary path becomes a folder rather than a file. An existing folder is removed when the
            new one is complete.

    Raises:
        UserError: A folder exists where a file is to be written, or the reverse; the path is not writable; or the disk
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
    """Return whether a path is a device, a pipe or a socket."""
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def check_kind(target: Path, folder: bool) -> None:
    """Raise a UserError where a folder would replace a file, or a file a folder."""
    if target.is_dir() and not folder:
        raise UserError(f"{target}: a folder is here, and a file cannot take its place; give another name")
    if target.is_file() and folder:
        raise UserError(f"{target}: a file is here, and a folder cannot take its place; give another name")


def temporary_folder(final: Path) -> tempfile.TemporaryDirectory[str]:
    """Create a temporary folder beside `final`, with a name that no other process or host uses."""
    return tempfile.TemporaryDirectory(
        prefix=hidden(final.name, ""), suffix=".tmp", dir=final.parent, ignore_cleanup_errors=True
    )


def put(temporary: Path, final: Path) -> None:
    """Rename `temporary` to `final`; an existing folder is moved aside first, and moved back on failure."""
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
    """Remove the temporary folders of killed processes; the caller must hold the lock of `target`.

    A folder that was moved aside and not yet replaced is moved back.
    """
    final = target.resolve()
    for beside in final.parent.glob(f"{glob.escape(hidden(final.name, ''))}????????.tmp"):
        restore(beside / REPLACED, final)
        remove(beside)


def remove_temporary(folder: Path) -> None:
    """Remove what killed processes left inside a folder; the caller must hold the lock of all that writes there."""
    for path in folder.glob(".*.????????.tmp"):
        remove(path)


def hidden(name: str, suffix: str) -> str:
    """Return the hidden name `.name.suffix`; a name that would be too long is replaced by its hash.

    >>> hidden("run", "lock")
    '.run.lock'
    """
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}.{suffix}"


@contextmanager
def make_parents(target: Path) -> Iterator[None]:
    """Create the missing parent folders of `target`; remove those that are still empty at the end."""
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
    """Turn an OSError into one line that explains why `target` cannot be written.

    Raises:
        UserError: An OSError was raised inside.
    """
    try:
        with full_disk_explained(target):
            yield
    except OSError as error:
        raise UserError(f"{target}: it cannot be written ({error.strerror or error})") from error


@contextmanager
def full_disk_explained(target: Path) -> Iterator[None]:
    """Turn the OSError of a full disk into one line.

    Raises:
        UserError: The disk is full, or a disk quota is used up.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"no space left on the disk for {target}") from error


def remove(path: Path) -> None:
    """Remove a file or a folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Flush a folder and the files in it to the disk, so that they survive a power cut."""
    windows = os.name == "nt"  # where a folder cannot be opened, and only a writable file can be synced
    for path in [*folder.iterdir(), *[folder] * (not windows)]:
        handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            # Some network file systems do not support fsync for folders.
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
    r"""Return a file name with control characters and undecodable bytes escaped.

    >>> print(printable("a\nb"))
    a\nb
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)
