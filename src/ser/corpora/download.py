"""Downloads of corpora whose owners give a direct link: verified, continued where they broke off, unpacked."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ser.corpora.archives import ORIGIN, SUFFIXES, ArchiveError, unpack
from ser.errors import Interrupted, UserError
from ser.files import hidden, remove, write_errors_explained
from ser.locks import locked

log = logging.getLogger("ser")

ALGORITHMS = ("md5", "sha256")
RECORD = re.compile(r"(https://zenodo\.org|http://127\.0\.0\.1:\d+)/records/(\d+)/files/[^/]+")
"""The address of a file of Zenodo, whose size and checksum Zenodo states."""


@dataclass(frozen=True)
class Archive:
    """An archive that the owner of a corpus offers for download.

    An archive whose checksum is unknown is accepted by its size; its SHA-256 is then logged and recorded. Where neither
    is known, and the archive is on Zenodo, both are asked for there before the download.
    """

    url: str
    """An https address."""
    size: int | None = None
    """Bytes."""
    checksum: str | None = None
    """As the owner publishes it: `md5:` or `sha256:` and the hexadecimal digits."""

    def __post_init__(self) -> None:
        """Refuse an archive that cannot be verified.

        Raises:
            ValueError: An address, a name or a checksum of a wrong kind, or nothing to verify the archive by.
        """
        address = urlsplit(self.url)
        if address.scheme != "https" and (address.scheme, address.hostname) != ("http", "127.0.0.1"):
            raise ValueError(f"{self.url}: not an https address")
        if not self.folder or self.folder.startswith("."):
            raise ValueError(f"{self.url}: not the name of an archive, which ends in one of {', '.join(SUFFIXES)}")
        if self.checksum is not None and self.checksum.partition(":")[0] not in ALGORITHMS:
            raise ValueError(f"{self.url}: the checksum begins with none of {', '.join(ALGORITHMS)}")
        if not self.is_verifiable and not RECORD.fullmatch(self.url):
            raise ValueError(f"{self.url}: neither its size nor its checksum is known")

    @property
    def is_verifiable(self) -> bool:
        return self.size is not None or self.checksum is not None

    @property
    def name(self) -> str:
        return PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def folder(self) -> str:
        """The name without its suffix; empty where it has no suffix of an archive."""
        ends = [end for end in SUFFIXES if self.name.lower().endswith(end)]
        return self.name[: -len(max(ends, key=len))] if ends else ""

    @property
    def identity(self) -> str:
        """What an unpacked folder is recognised by."""
        return self.checksum or f"{self.url}, {self.size} bytes"


@dataclass(frozen=True)
class Limits:
    """Timeouts and attempts of a download."""

    connect: float = 15
    """Seconds until the server accepts a connection."""
    read: float = 60
    """Seconds without a byte."""
    attempts: int = 6
    wait: float = 2
    """Seconds before the second attempt; twice and three times as long before the next ones."""


def download(
    archives: Sequence[Archive], target: Path, license: str | None = None, limits: Limits | None = None
) -> Path:
    """Download archives and unpack each into a folder below `target`; skip those that are unpacked there.

    Args:
        archives: The archives of a corpus.
        target: The folder.
        license: The license as the hub names it; a log line says what it forbids.
        limits: Timeouts and attempts.

    Returns:
        `target`, the folder below which all recordings are.

    Raises:
        UserError: An archive cannot be fetched, is another one than expected, or is damaged or hostile. What came of a
            broken transfer is kept, and the next call continues it.
        Interrupted: Ctrl-C; the next call continues.
    """
    if license and "-nc" in license:
        log.info("the license of this corpus, %s, forbids commercial use", license)
    for archive in archives:
        folder = target / archive.folder
        try:
            with locked(folder, wait=True):
                fetch_and_unpack(archive, folder, limits or Limits())
        except KeyboardInterrupt as error:
            raise Interrupted(f"interrupted: what came of {archive.url} is kept; the same command continues") from error
    return target


def fetch_and_unpack(archive: Archive, folder: Path, limits: Limits) -> None:
    """Make the unpacked folder of an archive, unless it exists."""
    known = origin(folder)
    if known.get("identity") == archive.identity:
        log.info("%s: unpacked here already", folder)
        return
    if not known and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: a folder that ser did not download is here; move it, or give it by --root")
    expected = archive if archive.is_verifiable else published(archive, limits)
    store = folder.with_name(hidden(folder.name, "download"))
    with write_errors_explained(store):
        path = fetch(expected, store, limits)
        recorded = {"url": archive.url, "identity": archive.identity, "size": path.stat().st_size}
        recorded["checksum"] = expected.checksum
        if expected.checksum is None:
            recorded["sha256"] = sha256(path)
            log.info("%s: no checksum is published; its SHA-256 is %s", archive.url, recorded["sha256"])
    try:
        number = unpack(path, folder, recorded)
    except ArchiveError:
        remove(store)
        raise
    remove(store)
    log.info("%s: %d files unpacked", folder, number)


def published(archive: Archive, limits: Limits) -> Archive:
    """Return an archive with the size and the checksum that its host states."""
    from ser.corpora.zenodo import add_published  # requests, which it imports, would slow down every command

    return add_published(archive, limits)


def origin(folder: Path) -> Mapping[str, Any]:
    """Return what a folder was unpacked from; empty where it says nothing."""
    try:
        return dict(json.loads((folder / ORIGIN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def fetch(archive: Archive, store: Path, limits: Limits) -> Path:
    """Download an archive to the folder `store` and return its path; continue what an earlier call has begun.

    Raises:
        UserError: The archive could not be fetched, or its checksum or size is another one.
    """
    import pooch  # as above

    from ser.corpora.transfer import BY_HAND, Downloader

    pooch.get_logger().setLevel(logging.WARNING)
    part = store / f"{archive.name}.part"
    continued = part.exists()
    log.info("downloading %s", archive.url)
    try:
        path = pooch.retrieve(
            archive.url, archive.checksum, archive.name, store, downloader=Downloader(archive, part, limits)
        )
    except UserError:
        raise
    except ValueError as error:  # pooch: the checksum; it has removed the file
        if continued and not part.exists():
            log.warning("%s: continued, it has another checksum; it is downloaded from its start", archive.url)
            return fetch(archive, store, limits)
        reason = str(error).partition(". ")[0]
        raise UserError(
            f"{archive.url}: {reason}; the archive was changed, or damaged on its way; {BY_HAND}"
        ) from error
    return Path(path)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
