import asyncio
import os
from time import time
from types import SimpleNamespace

import pytest

from ser.serving.turns import Refused
from ser.serving.uploads import Uploads


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "uploads" / "hash").mkdir(parents=True)
    (tmp_path / "secret.wav").write_bytes(b"secret")
    return (tmp_path / "uploads").resolve()


def put(folder, name="voice.wav", content=b"voice"):
    path = folder / "hash" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)


def played(uploads, path):
    return asyncio.run(uploads.played(SimpleNamespace(path_params={"path": path})))


def test_what_is_taken_is_off_the_disk_with_its_folder_and_can_still_be_played(folder):
    uploads, path = Uploads(folder, 3, 60), put(folder)
    assert uploads.take(path) == b"voice"
    assert list(folder.iterdir()) == []
    assert played(uploads, path).body == b"voice"
    assert uploads.take(path) == b"voice"


@pytest.mark.parametrize(
    "name", ["../secret.wav", "hash/../../secret.wav", "/etc/passwd", "\0", "x" * 5000, "gone.wav"]
)
def test_no_other_path_is_read_or_removed(folder, name):
    uploads = Uploads(folder, 3, 60)
    path = name if name.startswith("/") else f"{folder}/{name}"
    with pytest.raises(Refused) as refused:
        uploads.take(path)
    assert refused.value.status == 404
    assert played(uploads, path).status_code == 404
    assert (folder.parent / "secret.wav").read_bytes() == b"secret"


def test_a_link_out_of_the_folder_is_not_followed(folder):
    (folder / "link.wav").symlink_to(folder.parent / "secret.wav")
    with pytest.raises(Refused):
        Uploads(folder, 3, 60).take(f"{folder}/link.wav")
    assert (folder.parent / "secret.wav").exists()


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "script.js", "nothing"])
def test_only_audio_is_named_as_what_it_is(folder, name):
    uploads = Uploads(folder, 3, 60)
    assert played(uploads, put(folder, name)).media_type == "application/octet-stream"
    assert played(uploads, put(folder)).media_type.startswith("audio/")


def test_no_more_than_the_latest_are_remembered(folder):
    uploads = Uploads(folder, 2, 60)
    paths = [put(folder, f"{index}.wav") for index in range(3)]
    assert uploads.is_full()
    for path in paths:
        uploads.take(path)
    assert not uploads.is_full()
    assert [played(uploads, path).status_code for path in paths] == [404, 200, 200]


def test_what_nobody_asks_about_is_swept_away_and_what_is_new_is_not(folder):
    uploads, old, new, taken = Uploads(folder, 9, 60), put(folder, "old.wav"), put(folder), put(folder, "taken.wav")
    os.utime(old, (time() - 61, time() - 61))
    uploads.take(taken)
    uploads.sweep()
    assert [str(path) for path in uploads.files()] == [new]
    assert played(uploads, taken).status_code == 200
    uploads.patience = -1
    uploads.sweep()
    assert played(uploads, taken).status_code == 404
    assert list(uploads.files()) == []
