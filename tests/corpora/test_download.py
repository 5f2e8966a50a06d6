"""Downloads from a host that breaks, lies and stalls."""

import errno
import hashlib
import io
import json
import logging
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from helpers.archive_host import (
    ArchiveHost,
    breaks_after,
    redirects,
    stalls_after,
    states,
    whole,
    without_ranges,
)

from ser.corpora import transfer
from ser.corpora.archives import ORIGIN
from ser.corpora.download import Archive, Limits, download
from ser.errors import Interrupted, UserError

BLOCK = transfer.BLOCK
LIMITS = Limits(connect=5, read=5, attempts=3, wait=0)


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(f"{name}.wav", content)
    return buffer.getvalue()


CONTENT = zipped(a=b"one" * 100_000, b=b"two" * 100_000)
SIZE = len(CONTENT)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def host():
    host = ArchiveHost(CONTENT)
    yield host
    host.close()


@pytest.fixture
def fetch(host, tmp_path):
    """Download the archive of the host to `tmp_path/target`."""

    def fetch(checksum=MD5, size=SIZE, limits=LIMITS, url=host.url, **more):
        return download([Archive(url, size, checksum)], tmp_path / "target", limits=limits, **more)

    return fetch


@pytest.fixture
def refused(fetch, tmp_path):
    """Check that a download ends in one line which names the address and what to do, and that nothing is unpacked."""

    def refused(match, **arguments):
        with pytest.raises(UserError, match=match) as error:
            fetch(**arguments)
        assert arguments.get("url", "http://127.0.0.1:") in str(error.value)
        assert "--root" in str(error.value)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "target" / "corpus").exists()

    return refused


@pytest.fixture
def logged():
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("ser")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_archive_is_downloaded_and_unpacked_and_nothing_else_stays(fetch, host, tmp_path):
    assert fetch() == tmp_path / "target"
    assert names(tmp_path / "target") == [f"corpus/{ORIGIN}", "corpus/a.wav", "corpus/b.wav"]
    assert json.loads((tmp_path / "target" / "corpus" / ORIGIN).read_text())["identity"] == MD5
    assert host.ranges == [None]


def test_what_is_unpacked_is_not_asked_for_again(fetch, host):
    fetch()
    fetch()
    assert len(host.asked) == 1


def test_two_commands_at_once_ask_once(fetch, host):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: fetch(), range(2)))
    assert len(host.asked) == 1


def test_several_archives_are_unpacked_beside_each_other(host, tmp_path):
    urls = [host.url, host.url.replace("corpus.zip", "more%20corpus.zip?download=1")]
    download([Archive(url, SIZE, MD5) for url in urls], tmp_path / "target", limits=LIMITS)
    assert sorted(path.name for path in (tmp_path / "target").iterdir()) == ["corpus", "more corpus"]


def test_a_new_checksum_replaces_the_folder(fetch, host, tmp_path):
    fetch()
    host.content = zipped(c=b"three")
    fetch(checksum=f"sha256:{hashlib.sha256(host.content).hexdigest()}", size=None)
    assert names(tmp_path / "target") == [f"corpus/{ORIGIN}", "corpus/c.wav"]


def test_a_broken_transfer_is_continued(fetch, host, tmp_path):
    host.plans = [breaks_after(3 * BLOCK), whole]
    fetch()
    assert host.ranges == [None, f"bytes={3 * BLOCK}-"]
    assert "corpus/a.wav" in names(tmp_path / "target")


def test_a_broken_transfer_begins_again_where_the_server_supports_no_ranges(fetch, host, tmp_path):
    host.plans = [breaks_after(3 * BLOCK, ranges=False), without_ranges]
    fetch()
    assert host.ranges == [None, f"bytes={3 * BLOCK}-"]
    assert "corpus/a.wav" in names(tmp_path / "target")


def test_a_later_call_continues_a_transfer_that_broke_too_often(fetch, refused, host):
    host.plans = [breaks_after(2 * BLOCK)]
    refused(rf"3 attempts\); {6 * BLOCK} bytes came, and the same command continues")
    host.plans = [whole]
    fetch()
    assert host.ranges[-1] == f"bytes={6 * BLOCK}-"


def test_a_stalled_server_ends_in_a_line(refused, host):
    host.plans = [stalls_after(100_000)]
    refused(r"silent for 0\.2 seconds \(2 attempts\)", limits=Limits(connect=5, read=0.2, attempts=2, wait=0))
    host.plans = [lambda answer, _: answer.server.over.wait()]
    refused(r"silent for 0\.2 seconds", limits=Limits(connect=5, read=0.2, attempts=1, wait=0))


def test_a_host_that_is_not_there_ends_in_a_line(refused, host):
    host.close()
    refused(r"cannot be reached \(3 attempts\)")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_of_the_server_is_final(refused, host, status):
    host.plans = [states(status, Content_Length=0)]
    refused(f"the server answers {status}")
    assert len(host.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_of_the_server_may_pass(fetch, refused, host, status):
    host.plans = [states(status, Content_Length=0)]
    refused(rf"the server answers {status} \(.*\) \(3 attempts\)")
    host.plans = [states(status, Content_Length=0), whole]
    fetch()


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_is_refused(refused, host, status):
    host.plans = [states(status)]
    refused(f"answers {status} without the archive")


def test_a_web_page_is_no_archive(refused, host):
    host.plans = [states(body=b"<html>", Content_Type="text/html; charset=utf-8", Content_Length=6)]
    refused("a web page came instead of the archive")
    assert len(host.asked) == 1


def test_another_size_is_refused_before_the_archive_is_transferred(refused, host):
    host.plans = [states(Content_Length=10**12)]
    refused(f"has 1000000000000 bytes instead of {SIZE}")
    host.plans = [states(Content_Length="many")]
    refused("states a size of many")


def test_a_server_that_sends_without_end_is_left(refused, host):
    host.plans = [states(body=CONTENT + b"more")]
    refused(f"sends more than {SIZE} bytes")


def test_too_few_bytes_of_an_unstated_size_are_a_broken_transfer(fetch, refused, host):
    host.plans = [states(body=CONTENT[:1000])]
    refused(f"ended at 1000 of {SIZE} bytes")
    host.plans = [whole]
    fetch()
    assert host.ranges[-1] == "bytes=1000-"


def test_another_checksum_is_refused_and_forgotten(fetch, refused, host, tmp_path):
    host.content = b"x" * SIZE
    refused(f"MD5 hash of downloaded file .* expected {MD5} but got {hashlib.md5(host.content).hexdigest()}")
    assert not [name for name in names(tmp_path) if not name.endswith(".lock")]
    host.content = CONTENT
    fetch()


def test_a_continued_archive_of_another_version_is_fetched_from_its_start(fetch, refused, host):
    host.content, host.plans = b"x" * SIZE, [breaks_after(BLOCK)]
    refused("the same command continues")
    host.content, host.plans = CONTENT, [whole]
    fetch()
    assert host.ranges[-2:] == [f"bytes={3 * BLOCK}-", None]


@pytest.mark.parametrize("span", ["bytes 5-9/1000", "bytes 0-9/*", "nonsense"])
def test_a_server_that_continues_at_another_place_is_asked_from_the_start(fetch, host, span):
    host.plans = [breaks_after(BLOCK), states(206, body=b"y" * 5, Content_Range=span, Content_Length=5), whole]
    fetch()
    assert host.ranges == [None, f"bytes={BLOCK}-", None]


def test_a_part_that_is_longer_than_the_archive_is_fetched_again(fetch, host, tmp_path):
    store = tmp_path / "target" / ".corpus.download"
    store.mkdir(parents=True)
    (store / "corpus.zip.part").write_bytes(CONTENT + b"more")
    fetch()
    assert host.ranges == [f"bytes={SIZE + 4}-", None]


def test_a_part_that_is_whole_is_not_asked_for_again(fetch, host, tmp_path):
    store = tmp_path / "target" / ".corpus.download"
    store.mkdir(parents=True)
    (store / "corpus.zip.part").write_bytes(CONTENT)
    fetch()
    assert not host.asked


def test_a_part_of_the_right_size_and_another_content_is_fetched_again(fetch, host, tmp_path):
    store = tmp_path / "target" / ".corpus.download"
    store.mkdir(parents=True)
    (store / "corpus.zip.part").write_bytes(b"x" * SIZE)
    fetch()
    assert host.ranges == [None]


def test_a_redirect_on_the_same_host_is_followed(fetch, host):
    host.plans = [redirects("/moved/corpus.zip"), whole]
    fetch()
    assert [path for path, _ in host.asked] == ["/files/corpus.zip", "/moved/corpus.zip"]


@pytest.mark.parametrize(
    "location",
    [
        *("http://127.0.0.1:9/a.zip", "http://example.org/a.zip", "ftp://example.org/a.zip", "file:///etc/passwd"),
        *("https://127.0.0.1/a.zip", "https://[::1]/a.zip", "https://10.1.2.3/a.zip", "https://169.254.169.254/a"),
    ],
)
def test_a_redirect_to_plain_http_or_a_private_address_is_refused(refused, host, location):
    host.plans = [redirects(location)]
    refused("which is not a public https address")
    assert len(host.asked) == 1


def test_a_redirect_that_is_no_address_or_has_no_end_is_refused(refused, host):
    host.plans = [redirects("https://[::1/a.zip")]
    refused("which is not an address")
    host.plans = [redirects("/files/corpus.zip")]
    refused("redirects without end")


def test_a_public_address_is_not_private(monkeypatch):
    assert not transfer.is_private(urlsplit("https://93.184.215.14/a.zip"))
    monkeypatch.setattr(transfer.socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("fe80::1%eth0", 0))])
    assert transfer.is_private(urlsplit("https://rebound.example/a.zip"))


def test_an_archive_without_checksum_is_accepted_by_its_size_and_its_sha256_is_recorded(fetch, logged, tmp_path):
    fetch(checksum=None)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert json.loads((tmp_path / "target" / "corpus" / ORIGIN).read_text())["sha256"] == sha256
    assert any(sha256 in line for line in logged)


def test_an_archive_without_checksum_is_never_continued(fetch, host):
    host.plans = [breaks_after(BLOCK), whole]
    fetch(checksum=None)
    assert host.ranges == [None, None]


def test_a_full_disk_ends_in_a_line_and_the_next_call_continues(fetch, host, tmp_path, monkeypatch):
    written = transfer.Transfer.write

    def full(self, block):
        if self.size:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(self, block)

    monkeypatch.setattr(transfer.Transfer, "write", full)
    with pytest.raises(UserError, match="no space left on the disk"):
        fetch()
    monkeypatch.undo()
    fetch()
    assert host.ranges == [None, f"bytes={BLOCK}-"]


def test_an_interrupted_download_is_continued_by_the_next_call(fetch, host, monkeypatch):
    written = transfer.Transfer.write

    def interrupted(self, block):
        written(self, block)
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer.Transfer, "write", interrupted)
    with pytest.raises(Interrupted, match="the same command continues"):
        fetch()
    monkeypatch.undo()
    fetch()
    assert host.ranges == [None, f"bytes={BLOCK}-"]


def test_an_archive_that_was_not_yet_unpacked_is_not_asked_for_again(fetch, host, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ser.corpora.download.unpack", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted):
            fetch()
    fetch()
    assert len(host.asked) == 1


def test_a_hostile_archive_is_refused_and_not_kept(fetch, host, tmp_path):
    host.content = zipped(**{"../../evil": b"1"})
    with pytest.raises(UserError, match="leads out of the folder"):
        fetch(checksum=None, size=len(host.content))
    assert not names(tmp_path)


def test_a_folder_of_the_user_is_not_replaced(fetch, host, tmp_path):
    (tmp_path / "target" / "corpus").mkdir(parents=True)
    (tmp_path / "target" / "corpus" / "mine.wav").write_bytes(b"1")
    with pytest.raises(UserError, match="a folder that ser did not download"):
        fetch()
    assert names(tmp_path) == ["target/corpus/mine.wav"]
    assert not host.asked


def test_a_license_that_forbids_commercial_use_is_named(fetch, logged):
    fetch(license="cc-by-nc-sa-4.0")
    assert any("cc-by-nc-sa-4.0, forbids commercial use" in line for line in logged)
    logged.clear()
    fetch(license="cc-by-4.0")
    assert not any("commercial" in line for line in logged)


@pytest.mark.parametrize(
    ("url", "size", "checksum", "match"),
    [
        ("http://example.org/a.zip", 1, "md5:" + "0" * 32, "not an https address"),
        ("ftp://127.0.0.1/a.zip", 1, "md5:" + "0" * 32, "not an https address"),
        ("https://example.org/a.exe", 1, "md5:" + "0" * 32, "not the name of an archive"),
        ("https://example.org/.zip", 1, "md5:" + "0" * 32, "not the name of an archive"),
        ("https://example.org/..zip", 1, "md5:" + "0" * 32, "not the name of an archive"),
        ("https://example.org/a.zip", 1, "sha1:00", "begins with none of md5, sha256"),
        ("https://example.org/a.zip", None, None, "neither its size nor its checksum"),
    ],
    ids=["http", "ftp", "exe", "nameless", "dots", "sha1", "nothing"],  # the checksum is another one in each process
)
def test_an_archive_that_cannot_be_verified_is_a_mistake_of_its_corpus(url, size, checksum, match):
    with pytest.raises(ValueError, match=match):
        Archive(url, size, checksum)


def test_a_corpus_with_archives_does_not_import_requests():
    code = "import sys, ser.corpora.download; sys.exit(bool({'pooch', 'requests'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
