"""The transfer of one archive over HTTP: continued where it broke off, and ended where the server lies."""

import ipaddress
import logging
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

import pooch
from requests import exceptions
from rich.progress import Progress, TaskID

from ser.console import byte_bar
from ser.corpora.download import Archive, Limits
from ser.errors import UserError
from ser.files import printable

log = logging.getLogger("ser")

BLOCK = 2**16
LARGEST = 2**38
"""Bytes of an archive whose size neither the corpus nor the server states."""
PARTIAL = re.compile(r"bytes (\d+)-\d+/(\d+)")
"""The header Content-Range."""
PASSING_STATUSES = (408, 416, 425, 429, 500, 502, 503, 504)
"""Statuses after which another attempt may succeed."""
BY_HAND = "download it by hand, unpack it, and give its folder by --root"


class BrokenTransfer(Exception):
    """A transfer that ended before the archive was whole."""


class Downloader:
    """A downloader of pooch that continues a broken transfer, in later calls as well.

    pooch gives a new temporary file to each attempt. This class keeps what came in a file of its own, and asks for the
    rest by a Range request. Without a checksum the archive is always fetched from its start, because a mixture of two
    versions would go unnoticed.
    """

    def __init__(self, archive: Archive, part: Path, limits: Limits) -> None:
        self.archive, self.part, self.limits = archive, part, limits

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> None:
        """Download `url` to `output_file`; pooch calls it.

        Raises:
            UserError: No attempt brought the whole archive, or another one would not.
        """
        with byte_bar() as bar:
            task = bar.add_task(f"downloading {self.archive.name}", total=self.archive.size)
            for attempt in range(1, self.limits.attempts + 1):
                try:
                    self.attempt(bar, task)
                    break
                except (BrokenTransfer, exceptions.RequestException) as error:
                    self.give_up_or_wait(error, attempt)
        os.replace(self.part, output_file)

    def attempt(self, bar: Progress, task: TaskID) -> None:
        """Send one request, for what is missing."""
        with self.part.open("ab") as file:
            if self.archive.checksum is None:
                file.truncate(0)
            transfer = Transfer(self.archive, file, bar, task)
            if transfer.size and transfer.size == self.archive.size:
                return  # an earlier call ended before pooch took the file
            headers = {"Accept-Encoding": "identity", "User-Agent": "ser-finetune"}
            if transfer.size:
                headers["Range"] = f"bytes={transfer.size}-"
            pooch.HTTPDownloader(
                chunk_size=BLOCK,
                headers=headers,
                timeout=(self.limits.connect, self.limits.read),
                hooks={"response": transfer.begin},
            )(self.archive.url, transfer, None)
            transfer.end()

    def give_up_or_wait(self, error: Exception, attempt: int) -> None:
        """Wait before the next attempt, or explain in one line why there is none."""
        response = getattr(error, "response", None)
        if response is not None and response.status_code == 416:
            self.part.unlink()  # the server has less than what came
        reason = self.reason(error)
        if not isinstance(error, PASSING) and (response is None or response.status_code not in PASSING_STATUSES):
            raise UserError(f"{self.archive.url}: {reason}; {BY_HAND}") from error
        size = self.part.stat().st_size if self.part.exists() else 0
        if attempt == self.limits.attempts:
            kept = f"{size} bytes came, and the same command continues; or " if size and self.archive.checksum else ""
            raise UserError(f"{self.archive.url}: {reason} ({attempt} attempts); {kept}{BY_HAND}") from error
        log.info("%s: %s after %d bytes; attempt %d follows", self.archive.name, reason, size, attempt + 1)
        time.sleep(self.limits.wait * attempt)

    def reason(self, error: Exception) -> str:
        """Explain an error of requests, whose own text names its classes."""
        response = getattr(error, "response", None)
        if isinstance(error, exceptions.HTTPError) and response is not None:
            return f"the server answers {response.status_code} ({printable(response.reason or '')})"
        if isinstance(error, BrokenTransfer):
            return str(error)
        if "timed out" in str(error):
            return f"the server was silent for {self.limits.read:g} seconds"
        if isinstance(error, exceptions.SSLError):
            return "the certificate of the server is not valid"
        if isinstance(error, exceptions.TooManyRedirects):
            return "the server redirects without end"
        if "Max retries exceeded" in str(error):
            return "the server cannot be reached"
        return "the connection broke"


PASSING = (BrokenTransfer, exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError)
"""Errors after which another attempt may succeed."""


class Transfer:
    """One request, and the file to which its answer is written; requests calls `begin`, pooch `write` and `flush`."""

    def __init__(self, archive: Archive, file: BinaryIO, bar: Progress, task: TaskID) -> None:
        self.archive, self.file, self.bar, self.task = archive, file, bar, task
        self.size = file.seek(0, os.SEEK_END)
        """Bytes in the file."""
        self.total = archive.size
        """Bytes of the whole archive; None where neither the corpus nor the server states them."""

    def begin(self, response: Any, **_: Any) -> None:
        """Examine the headers of an answer; begin the file again where the server does not continue it.

        Raises:
            UserError: The answer is not the archive, or a redirect is refused.
            BrokenTransfer: The server continues at another place than it was asked to.
        """
        if response.is_redirect:
            self.check_redirect(response)
        elif response.status_code < 400:  # pooch raises for the others
            self.check_headers(response)
            self.bar.update(self.task, completed=self.size, total=self.total)

    def check_redirect(self, response: Any) -> None:
        location = response.headers["location"]
        try:
            old, new = urlsplit(response.url), urlsplit(urljoin(response.url, location))
        except ValueError as error:
            raise self.refusal(f"the server redirects to {location}, which is not an address") from error
        if (old.scheme, old.netloc) == (new.scheme, new.netloc):
            return
        if new.scheme != "https" or is_private(new):
            raise self.refusal(f"the server redirects to {location}, which is not a public https address")

    def check_headers(self, response: Any) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise self.refusal("a web page came instead of the archive")
        partial = PARTIAL.fullmatch(response.headers.get("content-range", ""))
        if response.status_code == 206:
            if not partial or int(partial[1]) != self.size:
                self.restart()
                raise BrokenTransfer("the server continues at another place than it was asked to")
            stated: str | None = partial[2]
        elif response.status_code == 200:
            self.restart()
            stated = response.headers.get("content-length")
        else:
            raise self.refusal(f"the server answers {response.status_code} without the archive")
        if stated is not None and not re.fullmatch(r"[0-9]{1,18}", stated):
            raise self.refusal(f"the server states a size of {printable(stated[:40])}")
        if stated is None or response.headers.get("content-encoding", "identity") != "identity":
            return  # the size of the encoded bytes is another one
        if self.total is not None and int(stated) != self.total:
            raise self.refusal(f"the archive of the server has {stated} bytes instead of {self.total}")
        self.total = int(stated)

    def restart(self) -> None:
        self.file.truncate(0)
        self.size = 0

    def write(self, block: bytes) -> None:
        limit = LARGEST if self.total is None else self.total
        if self.size + len(block) > limit:
            self.restart()
            raise self.refusal(f"the server sends more than {limit} bytes")
        self.size += self.file.write(block)
        self.bar.update(self.task, completed=self.size)

    def flush(self) -> None:
        """Do nothing; pooch asks for it after each block."""

    def end(self) -> None:
        """Check that the archive is whole.

        Raises:
            BrokenTransfer: Bytes are missing.
        """
        if self.total is not None and self.size < self.total:
            raise BrokenTransfer(f"the connection ended at {self.size} of {self.total} bytes")

    def refusal(self, reason: str) -> UserError:
        return UserError(f"{self.archive.url}: {printable(reason)}; {BY_HAND}")


def is_private(address: SplitResult) -> bool:
    """Return whether an address leads to a private network; a name that is unknown here may be known to a proxy."""
    with suppress(OSError, UnicodeError):
        found = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(address.hostname, None)}
        return not all(ipaddress.ip_address(place).is_global for place in found)
    return False
