"""Locks between commands: two of them never write the same folder or file at once.

The lock of `runs/x` is the file `runs/.x.lock` beside it, so an empty folder stays empty and a folder that is replaced
as a whole keeps its lock. It is removed with the lock. Where the parent may not be written (a mounted folder), the
lock lies inside, as `.lock`.

The lock is `flock`'s, and the operating system frees it when the process ends, however it ends. File systems without
`flock` (some network mounts) get a file that names the process and the host: a lock left behind there is taken over
when its process has ended on the same host; on another host nobody can tell, and the refusal names the file.
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
        target: what is written, by any of its spellings: links and relative paths are resolved.
        wait: wait until the other command has finished, and say so, instead of failing at once.

    Raises:
        UserError: another command holds it, or no lock file can be written there.
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
    """Whether a path is a lock file, which does not count as the content of a folder."""
    return path.name.startswith(".") and path.name.endswith(".lock")


def lock_path(target: Path) -> Path:
    """Where the lock of a resolved path lies, if its parent may be written."""
    return target.parent / hidden(target.name, "lock")


@contextmanager
def _held(target: Path, wait: bool) -> Iterator[None]:
    lock = _acquired(target, wait)
    try:
        yield
    finally:
        # Who opened the file before it is removed finds that it has no name any longer, and opens it again.
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
        # A file of its own: the one that was tried is empty, which would read as held by somebody unknown.
        path.unlink(missing_ok=True)
        lock = SoftFileLock(path.with_suffix(".pid.lock"), timeout=timeout)
        lock.acquire()
    else:
        path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
    return lock


def _refusal(path: Path, target: Path) -> str:
    """Say who holds the lock, as far as its file tells."""
    said = f"{target}: another ser command writes there"
    with suppress(OSError, ValueError):
        process, host, *_ = path.read_text(encoding="utf-8").splitlines()
        said += f" (process {process} on {host.partition('?')[0]}; its lock is {path})"
    return f"{said}; wait until it has ended"
