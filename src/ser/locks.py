"""Locks between commands: two of them never write the same folder or file at once.

The lock of `runs/x` is the file `runs/.x.lock` beside it, so an empty folder stays empty and a folder that is replaced
as a whole keeps its lock. The file is removed when the lock is released. Where the parent is not writable (a mounted
folder), the lock file is inside the folder, as `.lock`.

The lock uses `flock`: the operating system releases it when the process ends, also when it is killed. On file systems
without `flock` (some network mounts) the lock is a file that names the process and the host. A stale lock is taken
over if its process has ended on the same host. The state of a process on another host is unknown, so the error message
names the lock file.
"""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from ser.errors import UserError
from ser.files import hidden, is_special, make_parents, remove_leftovers, write_errors_explained

log = logging.getLogger("ser")

INSIDE = ".lock"
NO_FLOCK = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def locked(target: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder or file that a command writes; `target` need not exist.

    Args:
        target: The path that is written; links and relative paths are resolved.
        wait: Whether to wait, with a log line, until the other command has finished, instead of failing at once.

    Raises:
        UserError: Another command holds the lock, or the lock file cannot be written.
    """
    with ExitStack() as stack:
        if not is_special(target):
            with write_errors_explained(target):
                target = target.expanduser().resolve()
                stack.enter_context(make_parents(target))
                stack.enter_context(_held(target, wait))
                remove_leftovers(target)
        yield


def is_lock(path: Path) -> bool:
    """Return whether a path is a lock file, which does not count as content of a folder."""
    return path.name.startswith(".") and path.name.endswith(".lock")


def lock_path(target: Path) -> Path:
    """Return the lock file of a resolved path whose parent is writable."""
    return target.parent / hidden(target.name, "lock")


@contextmanager
def _held(target: Path, wait: bool) -> Iterator[None]:
    lock = _acquired(target, wait)
    try:
        yield
    finally:
        # A process that opened the file before its removal detects that it has no name any more and opens it again.
        with suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def _acquired(target: Path, wait: bool) -> BaseFileLock:
    try:
        return _acquired_as(lock_path(target), target, wait)
    except OSError as error:
        if error.errno not in NOT_WRITABLE or not target.is_dir():
            raise
    return _acquired_as(target / INSIDE, target, wait)


def _acquired_as(path: Path, target: Path, wait: bool) -> BaseFileLock:
    try:
        return _by_kernel_or_file(path, timeout=0)
    except Timeout as held:
        if not wait:
            raise UserError(_refusal(Path(held.lock_file), target)) from None
    log.info("%s: waiting until the other ser command that writes there has ended", target)
    return _by_kernel_or_file(path, timeout=-1)


def _by_kernel_or_file(path: Path, timeout: float) -> BaseFileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock: BaseFileLock = FileLock(path, timeout=timeout, fallback_to_soft=False)
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in NO_FLOCK:
            raise
        # Another file name: the file of the failed attempt is empty, and SoftFileLock would take it for a held lock.
        path.unlink(missing_ok=True)
        lock = SoftFileLock(path.with_suffix(".pid.lock"), timeout=timeout)
        try:
            lock.acquire()
        except Timeout:  # before 4.3 this attempt only removes the file of a dead process, and the next one takes it
            lock.acquire()
    else:
        path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
    return lock


def _refusal(path: Path, target: Path) -> str:
    """Return the error message; it names the holder where the lock file can be read."""
    message = f"{target}: another ser command writes there"
    with suppress(OSError, ValueError):
        process, host, *_ = path.read_text(encoding="utf-8").splitlines()
        message += f" (process {process} on {host.partition('?')[0]}; its lock is {path})"
    return f"{message}; wait until it has ended"
