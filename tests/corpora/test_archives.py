"""Archives that are whole, damaged and hostile."""

import io
import json
import os
import stat
import struct
import tarfile
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser.corpora.archives import ORIGIN, Bounds, unpack
from ser.errors import UserError

FILES = {"speech/a.wav": b"one", "speech/deep/b.wav": b"two" * 50_000, "c.txt": b""}
TARS = {"a.tar": "w", "a.tar.gz": "w:gz", "a.tgz": "w:gz", "a.tar.bz2": "w:bz2", "a.tar.xz": "w:xz"}


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def make_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as file:
        for name, content in files.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ORIGIN
    }


def refused(archive, match, **bounds):
    """Check that nothing of an archive stays, and nothing is outside."""
    before = sorted(archive.parent.rglob("*"))
    folder = archive.parent / "out"
    with pytest.raises(UserError, match=match) as error:
        unpack(archive, folder, {}, Bounds(**bounds) if bounds else None)
    assert str(archive) in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.zip", *TARS])
def test_every_kind_is_unpacked_with_its_origin(tmp_path, name):
    archive = make_tar(tmp_path / name, FILES, TARS[name]) if name in TARS else make_zip(tmp_path / name, FILES)
    assert unpack(archive, tmp_path / "out", {"url": "https://x"}) == 3
    assert read(tmp_path / "out") == FILES
    assert json.loads((tmp_path / "out" / ORIGIN).read_text()) == {"url": "https://x"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out"])


def test_an_unpacked_folder_is_replaced_as_a_whole(tmp_path):
    unpack(make_zip(tmp_path / "a.zip", {"old.wav": b"1"}), tmp_path / "out", {})
    unpack(make_zip(tmp_path / "a.zip", {"new.wav": b"2"}), tmp_path / "out", {})
    assert read(tmp_path / "out") == {"new.wav": b"2"}


def test_what_macos_adds_is_skipped(tmp_path):
    files = {"a.wav": b"1", "__MACOSX/._a.wav": b"x", "deep/._b.wav": b"x"}
    assert unpack(make_zip(tmp_path / "a.zip", files), tmp_path / "out", {}) == 1
    unpack(make_tar(tmp_path / "a.tar", files), tmp_path / "out", {})
    assert read(tmp_path / "out") == {"a.wav": b"1"}


@pytest.mark.parametrize(
    "name", ["../a.wav", "x/../../a.wav", "/etc/a.wav", "C:\\a.wav", "..\\a.wav", "\\\\host\\s\\a.wav"]
)
def test_a_path_out_of_the_folder_is_refused(tmp_path, name):
    refused(make_zip(tmp_path / "a.zip", {"good.wav": b"1", name: b"2"}), "leads out of the folder")
    (tmp_path / "tar").mkdir()
    refused(make_tar(tmp_path / "tar" / "a.tar", {"good.wav": b"1", name: b"2"}), "leads out of the folder")


def test_a_name_with_control_characters_is_refused_in_one_line(tmp_path):
    refused(make_tar(tmp_path / "a.tar", {"a\nb.wav": b"1"}), r"a\\nb\.wav")


@pytest.mark.parametrize(
    "info",
    [
        special("out", tarfile.SYMTYPE, linkname="/etc"),
        special("in", tarfile.SYMTYPE, linkname="good.wav"),
        special("hard", tarfile.LNKTYPE, linkname="/etc/passwd"),
        special("pipe", tarfile.FIFOTYPE),
        special("null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        special("disk", tarfile.BLKTYPE, devmajor=8),
    ],
    ids=lambda info: info.name,
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, info):
    refused(make_tar(tmp_path / "a.tar", {"good.wav": b"1", info: b""}), f"{info.name} in it is a link, a device")


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(make_zip(tmp_path / "a.zip", {"good.wav": b"1", info: b"/etc/passwd"}), "link in it is a link")


def test_no_file_is_executable_or_setuid(tmp_path):
    info = zipfile.ZipInfo("a.wav")
    info.external_attr = (stat.S_IFREG | 0o6777) << 16
    unpack(make_zip(tmp_path / "a.zip", {info: b"1"}), tmp_path / "zip", {})
    unpack(make_tar(tmp_path / "a.tar", {special("a.wav", tarfile.REGTYPE, mode=0o6777): b"1"}), tmp_path / "tar", {})
    for folder in ("zip", "tar"):
        assert not (tmp_path / folder / "a.wav").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | 0o111)


def test_a_bomb_ends_by_what_it_declares(tmp_path):
    bomb = {f"{number}.wav": bytes(30_000_000) for number in range(3)}
    refused(make_zip(tmp_path / "a.zip", bomb), "more than 67108864 bytes|files or 67108864 bytes")
    (tmp_path / "tar").mkdir()
    refused(make_tar(tmp_path / "tar" / "a.tar.gz", bomb, "w:gz"), "more than 67108864 bytes")


def test_a_zip_that_declares_too_little_ends(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.wav": bytes(1_000_000)})
    content = archive.read_bytes()
    assert content.count(struct.pack("<I", 1_000_000)) == 2  # in the header of the file and in the directory
    archive.write_bytes(content.replace(struct.pack("<I", 1_000_000), struct.pack("<I", 1000)))
    refused(archive, "damaged")


def test_more_files_than_allowed_are_refused(tmp_path):
    files = {f"{number}.wav": b"1" for number in range(4)}
    refused(make_zip(tmp_path / "a.zip", files), "more than 3 files", files=3, size=100)
    (tmp_path / "tar").mkdir()
    refused(make_tar(tmp_path / "tar" / "a.tar", files), "more than 3 files", files=3, size=100)


def test_a_header_of_a_tar_that_would_fill_the_memory_is_refused(tmp_path):
    info = special("a.wav", tarfile.REGTYPE, pax_headers={"comment": "x" * 2**21})
    refused(make_tar(tmp_path / "a.tar", {info: b"1"}), "larger than allowed")


def test_a_sparse_file_is_refused(tmp_path):
    # Two holes and no data: 8 GiB from 512 bytes.
    header = bytearray(special("a.wav", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"00000000000\0"
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    refused(tmp_path / "a.tar", "sparse")


def test_an_encrypted_archive_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.wav": b"1"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    refused(archive, "encrypted")


@pytest.mark.parametrize("name", ["a.zip", *TARS])
def test_a_truncated_archive_is_refused(tmp_path, name):
    content = {"a.wav": os.urandom(100_000)}
    archive = make_tar(tmp_path / name, content, TARS[name]) if name in TARS else make_zip(tmp_path / name, content)
    archive.write_bytes(archive.read_bytes()[:60_000])
    refused(archive, "damaged")


def test_a_tar_with_a_damaged_header_in_the_middle_is_refused(tmp_path):
    archive = make_tar(tmp_path / "a.tar", {"a.wav": b"1", "b.wav": b"2", "c.wav": b"3"})
    content = bytearray(archive.read_bytes())
    content[1024] ^= 1  # the first letter of b.wav
    archive.write_bytes(content)
    refused(archive, "damaged")


@pytest.mark.parametrize("name", ["a.zip", *TARS])
def test_what_is_no_archive_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>moved</html>" * 100)
    refused(tmp_path / name, "damaged or not an archive")


def test_an_archive_without_files_is_refused(tmp_path):
    refused(make_zip(tmp_path / "a.zip", {}), "no files")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    refused(make_tar(tmp_path / "a.tar", {"a": b"1", special("a", tarfile.REGTYPE): b"2"}), "twice")
    (tmp_path / "next").mkdir()
    refused(make_tar(tmp_path / "next" / "a.tar", {"a": b"1", "a/b": b"2"}), "as a file and as a folder")


@pytest.mark.parametrize("flag", [0x800, 0])
def test_names_in_utf8_are_read_with_and_without_the_flag(tmp_path, flag):
    archive = make_zip(tmp_path / "a.zip", {"Colère/é.wav": b"1"})
    content = bytearray(archive.read_bytes())
    content[6:8] = struct.pack("<H", flag)
    directory = content.index(b"PK\x01\x02")
    content[directory + 8 : directory + 10] = struct.pack("<H", flag)
    archive.write_bytes(content)
    unpack(archive, tmp_path / "out", {})
    assert read(tmp_path / "out") == {"Colère/é.wav": b"1"}


def test_names_in_cp437_are_read(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"Col_re.wav": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"Col_re", "Colère".encode("cp437")))
    unpack(archive, tmp_path / "out", {})
    assert read(tmp_path / "out") == {"Colère.wav": b"1"}


def test_folders_of_a_zip_from_windows_are_folders(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"speech\\": b"", "speech\\a.wav": b"1"})
    unpack(archive, tmp_path / "out", {})
    assert read(tmp_path / "out") == {"speech/a.wav": b"1"}


def test_a_failure_leaves_the_folder_of_before(tmp_path):
    unpack(make_zip(tmp_path / "a.zip", {"old.wav": b"1"}), tmp_path / "out", {})
    (tmp_path / "a.zip").write_bytes(b"damaged")
    with pytest.raises(UserError):
        unpack(tmp_path / "a.zip", tmp_path / "out", {})
    assert read(tmp_path / "out") == {"old.wav": b"1"}


def test_a_zip_whose_offsets_lie_before_its_start_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a.wav": b"1"})
    content = bytearray(archive.read_bytes())
    end = content.index(b"PK\x05\x06")
    content[end + 16 : end + 20] = struct.pack("<I", 10_000)  # where the directory begins
    archive.write_bytes(content)
    refused(archive, "damaged")


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(["a.zip", "a.tar", "a.tar.gz"]))
def test_a_changed_archive_is_unpacked_or_refused_in_one_line(tmp_path_factory, data, name):
    folder = tmp_path_factory.mktemp("fuzz")
    files = {"a.wav": b"one" * 50, "deep/b.wav": b"two" * 50}
    archive = make_tar(folder / name, files, TARS[name]) if name in TARS else make_zip(folder / name, files)
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 3000) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content)
    with suppress(UserError):
        unpack(archive, folder / "out", {})
    assert {path.name for path in folder.iterdir()} <= {name, "out"}
