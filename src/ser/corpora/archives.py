"""Unpacking of archives that may be damaged or hostile: zip, tar, tar.gz, tar.bz2 and tar.xz."""

import bz2
import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, cast

from ser.console import byte_bar
from ser.errors import UserError
from ser.files import printable, replacing, write_json

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""The archives that are read, by the end of their names."""
ORIGIN = ".origin.json"
"""The file in an unpacked folder that says what it was unpacked from."""
GROWTH = 100
"""Bytes of files for each byte of the archive; recordings are compressed by less than 20."""
BLOCK = 2**20
"""Bytes copied at a time; a header of a tar is not larger either."""
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, NotImplementedError, OverflowError),
)
"""What the standard library raises for a damaged archive."""


class ArchiveError(UserError):
    """An archive that is damaged or is not unpacked because of what it contains."""


@dataclass(frozen=True)
class Bounds:
    """What an archive may contain at most."""

    files: int
    """Its entries, which are counted even where they are skipped."""
    size: int
    """Bytes of all files together."""

    @classmethod
    def from_archive(cls, archive: Path) -> "Bounds":
        return cls(files=200_000, size=max(2**26, GROWTH * archive.stat().st_size))


@dataclass(frozen=True)
class Member:
    """A regular file in an archive."""

    path: PurePosixPath
    size: int
    """Bytes, as the archive declares."""
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path, origin: Mapping[str, Any], bounds: Bounds | None = None) -> int:
    """Unpack an archive into a folder, which appears when all files are whole and replaces an existing one.

    Only regular files are written, with the default permissions. The files that macOS adds are skipped.

    Args:
        archive: The archive; the end of its name says what it is.
        folder: The folder.
        origin: What the file ORIGIN in the folder says.
        bounds: The largest number of files and bytes; None derives them from the size of the archive.

    Returns:
        The number of files.

    Raises:
        ArchiveError: The archive is damaged or encrypted, exceeds the bounds, or contains links, devices or paths that
            lead out of the folder.
        UserError: The disk is full, or the folder is not writable.
    """
    bounds = bounds or Bounds.from_archive(archive)
    with damage_explained(archive), replacing(folder, folder=True) as new, byte_bar() as bar:
        new.mkdir()
        task = bar.add_task(f"unpacking {archive.name}", total=None)
        number, left = 0, bounds.size
        with members(archive, bounds) as found:
            for member in found:
                left -= write(member, new / member.path, left)
                if left < 0:
                    raise ArchiveError(f"it contains more than {bounds.size} bytes")
                bar.update(task, completed=bounds.size - left)
                number += 1
        if not number:
            raise ArchiveError("it contains no files")
        write_json(new / ORIGIN, origin)
    return number


@contextmanager
def damage_explained(archive: Path) -> Iterator[None]:
    """Turn what damaged archives raise into one line that names the archive."""
    try:
        yield
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}; nothing of it was unpacked") from error
    except UserError:
        raise
    except DAMAGED as error:
        raise ArchiveError(f"{archive}: it is damaged or not an archive ({error})") from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # gzip and bz2 give no number; EINVAL is a place before the start
            raise
        raise ArchiveError(f"{archive}: it is damaged or not an archive ({error})") from error


@contextmanager
def members(archive: Path, bounds: Bounds) -> Iterator[Iterable[Member]]:
    """Open an archive and yield its regular files."""
    with ExitStack() as stack:
        if archive.suffix.lower() == ".zip":
            file = stack.enter_context(zipfile.ZipFile(archive))
            yield list(members_of_zip(file, bounds))
        else:
            stream = stack.enter_context(decompressed(archive))
            stream = cast(IO[bytes], BoundedStream(stream, bounds))  # tarfile needs read, seek and tell alone
            yield members_of_tar(stack.enter_context(tarfile.open(fileobj=stream, mode="r:")), stream, bounds)


def members_of_zip(file: zipfile.ZipFile, bounds: Bounds) -> Iterator[Member]:
    """Yield the regular files of a zip, after all entries were checked."""
    if len(file.infolist()) > bounds.files or sum(info.file_size for info in file.infolist()) > bounds.size:
        raise ArchiveError(f"it contains more than {bounds.files} files or {bounds.size} bytes")
    for info in file.infolist():
        # Without the flag of UTF-8, Python decodes names as cp437; many programs write UTF-8 without the flag.
        flagged = info.flag_bits & 0x800
        name = info.filename if flagged else decode(info.orig_filename.encode("cp437"))
        if name.endswith(("/", "\\")):
            continue
        if info.flag_bits & 0x1:
            raise ArchiveError(f"{printable(name)} in it is encrypted")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ArchiveError(f"{printable(name)} in it is a link or a device")
        if not is_of_macos(path := checked(name)):
            yield Member(path, info.file_size, partial(file.open, info))


def members_of_tar(file: tarfile.TarFile, stream: IO[bytes], bounds: Bounds) -> Iterator[Member]:
    """Yield the regular files of a tar, each checked before it is read."""
    for number, info in enumerate(file, 1):
        if number > bounds.files:
            raise ArchiveError(f"it contains more than {bounds.files} files")
        name = decode(info.name.encode("utf-8", "surrogateescape"))
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise ArchiveError(f"{printable(name)} in it is a link, a device or a sparse file")
        if not is_of_macos(path := checked(name)):
            yield Member(path, info.size, partial(file.extractfile, info))
    stream.seek(file.offset)
    if any(stream.read(tarfile.BLOCKSIZE)):
        raise ArchiveError("it is damaged: a header cannot be read")  # where tarfile takes it for the end


def checked(name: str) -> PurePosixPath:
    r"""Return the path of a member below the folder; refuse one that leads out of it.

    >>> checked("speech\\a.wav")
    PurePosixPath('speech/a.wav')
    """
    path = PurePosixPath(name.replace("\\", "/"))
    absolute = path.is_absolute() or PureWindowsPath(name).drive
    if absolute or not path.parts or ".." in path.parts or any(ord(sign) < 32 for sign in name):
        raise ArchiveError(f"{printable(name)} in it leads out of the folder or is not a name of a file")
    return path


def is_of_macos(path: PurePosixPath) -> bool:
    """Return whether macOS has added a file, beside the one that it describes."""
    return "__MACOSX" in path.parts or path.name.startswith("._")


def decode(name: bytes) -> str:
    """Decode the name of a member: UTF-8, or else cp437, the code page of zip.

    >>> decode("Colère".encode("cp437"))
    'Colère'
    """
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")


def write(member: Member, path: Path, left: int) -> int:
    """Write a member to a new file; stop when it is larger than `left`, and return its size."""
    size = 0
    if member.size > left:
        return member.size
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        source = member.open()
        assert source is not None  # a regular file
        with source, path.open("xb") as file:
            while size <= left and (block := source.read(BLOCK)):
                size += file.write(block)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(f"{member.path} is in it twice, or as a file and as a folder") from error
    return size


def decompressed(archive: Path) -> IO[bytes]:
    """Open the stream of a tar; the end of the name says how it is compressed."""
    openers: dict[str, Any] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return cast(IO[bytes], openers.get(archive.suffix, open)(archive, "rb"))


class BoundedStream:
    """The stream of a tar; it ends with an error where headers or skipped members exceed the bounds.

    tarfile reads a whole extended header into memory, whatever size it declares.
    """

    def __init__(self, stream: IO[bytes], bounds: Bounds) -> None:
        self.stream = stream
        self.size = bounds.size + 4096 * bounds.files  # headers and padding

    def read(self, size: int) -> bytes:
        if size > BLOCK or self.stream.tell() > self.size:
            raise ArchiveError("its headers or its files are larger than allowed")
        return self.stream.read(size)

    def seek(self, position: int) -> int:
        if position > self.size:
            raise ArchiveError("its files are larger than allowed")
        return self.stream.seek(position)

    def tell(self) -> int:
        return self.stream.tell()
