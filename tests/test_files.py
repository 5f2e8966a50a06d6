import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ser.errors import UserError
from ser.files import replacing, sync, write_text
from ser.locks import locked


def refusing(what, error):
    """An fsync that a kind of file does not know."""

    def fsync(handle):
        if what(os.fstat(handle).st_mode):
            raise OSError(error, os.strerror(error))

    return fsync


def test_a_folder_is_on_the_disk_with_all_its_files(tmp_path, monkeypatch):
    (tmp_path / "weights").write_text("x")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(os.fstat(handle).st_ino))
    sync(tmp_path)
    assert seen == [(tmp_path / "weights").stat().st_ino, tmp_path.stat().st_ino]


def test_a_file_system_may_not_know_how_to_sync_a_folder(tmp_path, monkeypatch):
    (tmp_path / "weights").write_text("x")
    monkeypatch.setattr(os, "fsync", refusing(stat.S_ISDIR, errno.EINVAL))
    sync(tmp_path)
    monkeypatch.setattr(os, "fsync", refusing(stat.S_ISREG, errno.EINVAL))
    with pytest.raises(OSError, match="Invalid argument"):
        sync(tmp_path)
    monkeypatch.setattr(os, "fsync", refusing(stat.S_ISDIR, errno.EIO))
    with pytest.raises(OSError, match="error"):
        sync(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(target, error):
    with replacing(target) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "answers.csv").write_text("old")
    with pytest.raises(KeyError):
        write_half(tmp_path / "answers.csv", KeyError())
    assert names(tmp_path) == ["answers.csv"]
    assert (tmp_path / "answers.csv").read_text() == "old"
    with replacing(tmp_path / "answers.csv") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "answers.csv").read_text() == "old"
    assert names(tmp_path) == ["answers.csv"]
    assert (tmp_path / "answers.csv").read_text() == "new"


def test_two_writers_of_one_file_do_not_touch_one_anothers_half(tmp_path, monkeypatch):
    # Containers on two nodes of a cluster have the same small process numbers.
    monkeypatch.setattr(os, "getpid", lambda: 7)
    with replacing(tmp_path / "x") as one:
        one.write_text("one")
        with replacing(tmp_path / "x") as two:
            two.write_text("two")
        assert one.read_text() == "one"
    assert (tmp_path / "x").read_text() == "one"


def test_a_folder_is_never_replaced_by_a_file_nor_a_file_by_a_folder(tmp_path):
    (tmp_path / "results.csv").mkdir()
    (tmp_path / "results.csv" / "notes.txt").write_text("precious")
    (tmp_path / "export").write_text("precious")
    reached = []
    with pytest.raises(UserError, match=r"results.csv: a folder is here"), replacing(tmp_path / "results.csv"):
        reached.append("before the work, not after it")
    with pytest.raises(UserError, match=r"export: a file is here"), replacing(tmp_path / "export", folder=True):
        reached.append("before the work, not after it")
    assert not reached
    assert (tmp_path / "results.csv" / "notes.txt").read_text() == (tmp_path / "export").read_text() == "precious"


def old_and_new(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with replacing(tmp_path / "folder", folder=True) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    old_and_new(tmp_path)
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["new"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_folder_stays_where_it_was_when_it_cannot_be_replaced(tmp_path, monkeypatch, failing):
    rename, calls = os.rename, []

    def fails(*paths):
        calls.append(paths)
        if len(calls) == failing:
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(*paths)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(UserError, match=r"folder: it cannot be written \(Permission denied\)"):
        old_and_new(tmp_path)
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["old"]


def test_a_link_is_followed_and_a_device_is_written_as_it_is(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_text(tmp_path / "link.csv", "new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"
    before = os.stat(os.devnull)
    write_text(Path(os.devnull), "x")
    assert os.stat(os.devnull).st_rdev == before.st_rdev


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("x" * 300, "File name too long"),
        ("file/below", "Not a directory|File exists"),
        ("x" * 255, None),
        ("new/folders/x", None),
    ],
)
def test_a_name_that_cannot_be_written_is_reported_in_one_line(tmp_path, target, reason):
    (tmp_path / "file").touch()
    if reason is None:
        write_text(tmp_path / target, "x")
        assert (tmp_path / target).read_text() == "x"
    else:
        with pytest.raises(UserError, match=rf"it cannot be written \(({reason})\)"):
            write_text(tmp_path / target, "x")
        assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported_and_leaves_nothing_not_even_folders(tmp_path, error):
    with pytest.raises(UserError, match="no space left on the disk for"):
        write_half(tmp_path / "a" / "b", OSError(error, os.strerror(error)))
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from ser import files
if sys.argv[2] == "between the renames":
    real = os.rename
    def rename(*paths):
        real(*paths)
        os.kill(os.getpid(), signal.SIGKILL)
    os.rename = rename
with files.replacing(Path(sys.argv[1]), folder=True) as temporary:
    temporary.mkdir()
    if sys.argv[2] == "at work":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["at work", "between the renames"])
def test_what_a_killed_process_left_is_cleared_away_and_the_old_folder_put_back(tmp_path, moment):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "folder"), moment])
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) != ["folder"]
    mine = [tmp_path / ".folder.mine.tmp", tmp_path / ".folder2.12345678.tmp"]
    for path in mine:
        path.touch()
    with locked(tmp_path / "folder"):
        pass
    assert names(tmp_path) == sorted(["folder", *(path.name for path in mine)])
    assert names(tmp_path / "folder") == ["old"]
