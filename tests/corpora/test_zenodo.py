"""Sizes and checksums that Zenodo states, asked of a stand-in on loopback."""

import hashlib
import io
import json
import zipfile

import pytest
from helpers.archive_host import ArchiveHost, states, whole

from ser.corpora.archives import ORIGIN
from ser.corpora.download import Archive, Limits, download
from ser.errors import UserError

LIMITS = Limits(connect=5, read=5, attempts=2, wait=0)


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.wav", content)
    return buffer.getvalue()


CONTENT = zipped(b"one" * 1000)
SIZE = len(CONTENT)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def record(key="corpus.zip", size=SIZE, checksum=MD5):
    files = [{"key": "readme.txt", "size": 1, "checksum": "md5:0"}, {"key": key, "size": size, "checksum": checksum}]
    return states(body=json.dumps({"files": files}).encode(), Content_Type="application/json")


@pytest.fixture
def host():
    host = ArchiveHost(CONTENT)
    yield host
    host.close()


@pytest.fixture
def fetch(host, tmp_path):
    url = host.url.replace("/files/", "/records/1234/files/")
    return lambda: download([Archive(url)], tmp_path, limits=LIMITS)


def test_an_archive_is_verified_by_what_its_record_states(fetch, host, tmp_path):
    host.plans = [record(), whole]
    fetch()
    assert [path for path, _ in host.asked] == ["/api/records/1234", "/records/1234/files/corpus.zip"]
    assert json.loads((tmp_path / "corpus" / ORIGIN).read_text())["checksum"] == MD5
    fetch()
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    ("stated", "match"),
    [
        ({"checksum": "md5:" + "0" * 32}, "hash of downloaded file"),
        ({"size": 7}, "instead of 7"),
        ({"checksum": "crc:00"}, "a checksum of an unknown kind, crc:00"),
        ({"checksum": "md5:../x"}, "a checksum of an unknown kind"),
        ({"key": "other.zip"}, "states no size and checksum of corpus.zip"),
        ({"size": "many"}, "states no size and checksum of corpus.zip"),
    ],
)
def test_what_differs_from_the_record_is_refused(fetch, host, tmp_path, stated, match):
    host.plans = [record(**stated), whole]
    with pytest.raises(UserError, match=match) as error:
        fetch()
    assert "\n" not in str(error.value)
    assert not (tmp_path / "corpus").exists()


def test_a_record_that_is_not_given_ends_in_a_line(fetch, host):
    host.plans = [states(404, Content_Length=0)]
    with pytest.raises(UserError, match=r"/api/records/1234: the checksum .* cannot be asked for \(it answers 404\)"):
        fetch()
    host.plans = [states(body=b"<html>")]
    with pytest.raises(UserError, match=r"/api/records/1234: it states no size"):
        fetch()
    host.plans = [states(302, Location="http://127.0.0.1:9/", Content_Length=0)]
    with pytest.raises(UserError, match=r"/api/records/1234: it states no size"):
        fetch()
    host.close()
    with pytest.raises(UserError, match="no answer"):
        fetch()


def test_an_error_that_passes_is_asked_again(fetch, host):
    host.plans = [states(503, Content_Length=0), record(), whole]
    fetch()
