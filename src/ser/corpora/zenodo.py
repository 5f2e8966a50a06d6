"""What Zenodo publishes about the files of a record: their sizes and checksums."""

import dataclasses
import re
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ser.corpora.download import ALGORITHMS, RECORD, Archive, Limits
from ser.errors import UserError
from ser.files import printable


def add_published(archive: Archive, limits: Limits) -> Archive:
    """Return an archive of Zenodo with the size and the checksum that its record states.

    Raises:
        UserError: Zenodo does not answer, or its record does not state them.
    """
    host, record = RECORD.fullmatch(archive.url).groups()  # type: ignore[union-attr]  # Archive has checked it
    api = f"{host}/api/records/{record}"
    try:
        files = ask(api, limits)["files"]
        found = next(file for file in files if file["key"] == archive.name)
        size, checksum = int(found["size"]), str(found["checksum"])
    except (LookupError, StopIteration, TypeError, ValueError) as error:
        raise UserError(f"{api}: it states no size and checksum of {archive.name}") from error
    except requests.RequestException as error:
        reason = f"it answers {error.response.status_code}" if error.response is not None else "no answer"
        raise UserError(f"{api}: the checksum of {archive.name} cannot be asked for ({reason})") from error
    if checksum.partition(":")[0] not in ALGORITHMS or not re.fullmatch("[0-9a-f]+", checksum.partition(":")[2]):
        raise UserError(f"{api}: it states a checksum of an unknown kind, {printable(checksum[:80])}")
    return dataclasses.replace(archive, size=size, checksum=checksum)


def ask(api: str, limits: Limits) -> Any:
    """Send a request to the interface for programs, again after errors that pass."""
    retry = Retry(limits.attempts - 1, backoff_factor=limits.wait, status_forcelist=(429, 500, 502, 503, 504))
    with requests.Session() as session:
        session.mount(api, HTTPAdapter(max_retries=retry))
        response = session.get(api, timeout=(limits.connect, limits.read), allow_redirects=False)
        response.raise_for_status()
        return response.json()
