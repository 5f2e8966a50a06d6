import errno
import os
import stat

import pytest

from ser.files import sync


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
