import errno
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import filelock
import pytest

from ser import locks
from ser.errors import UserError
from ser.locks import lock_path, locked

HOLD = """
import sys, time
from pathlib import Path
from ser.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holding():
    """Start processes that hold locks until their standard input ends."""
    with ExitStack() as stack:

        def start(target, **kwargs):
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, str(target)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                **kwargs,
            )
            stack.enter_context(process)
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def refused(target):
    with pytest.raises(UserError, match="another ser command writes there") as error, locked(target):
        pass
    return str(error.value)


def test_a_second_command_is_refused_and_the_message_names_the_process(tmp_path, holding):
    process = holding(tmp_path / "run")
    message = refused(tmp_path / "run")
    assert f"process {process.pid} on " in message
    assert "\n" not in message
    assert "resume" not in message
    assert "overwrite" not in message
    with locked(tmp_path / "other"):
        pass


def test_nothing_is_left_when_the_command_has_ended(tmp_path, holding):
    process = holding(tmp_path / "new" / "parents" / "run")
    process.communicate("")
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "new" / "run"):
        (tmp_path / "new" / "run").mkdir()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run"]


def test_a_killed_process_holds_nothing(tmp_path, holding):
    process = holding(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lock_path(tmp_path / "run").exists()
    with locked(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_spelling_of_a_path_is_the_same_lock(tmp_path, holding, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    holding("run/", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in (tmp_path / "link", "../run", ".", "~/run", f"{tmp_path}//run/"):
        refused(tmp_path.__class__(spelling))


def test_an_empty_folder_stays_empty(tmp_path, holding):
    (tmp_path / "run").mkdir()
    holding(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_who_waits_gets_the_lock_when_the_other_has_ended(tmp_path, holding):
    process = holding(tmp_path / "run")
    waits = HOLD.replace("sys.argv[1])", "sys.argv[1]), wait=True")
    second = subprocess.Popen(
        [sys.executable, "-c", waits, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.communicate("")
    assert second.communicate("")[0] == "held\n"
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_full_length_can_be_locked(tmp_path):
    with locked(tmp_path / ("x" * 255)):
        assert len(list(tmp_path.iterdir())) == 1


def refusing_beside(monkeypatch, error):
    """A parent in which nothing can be made, for root as well."""
    real = locks._by_kernel_or_file

    def refuse(path, timeout):
        if path.name != locks.INSIDE:
            raise OSError(error, os.strerror(error))
        return real(path, timeout)

    monkeypatch.setattr(locks, "_by_kernel_or_file", refuse)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_a_mounted_folder_is_locked_inside_and_another_is_refused_in_a_line(tmp_path, monkeypatch, error):
    refusing_beside(monkeypatch, error)
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"):
        assert [locks.is_lock(path) for path in (tmp_path / "run").iterdir()] == [True]
        refused(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    with pytest.raises(UserError, match=r"other: it cannot be written \("), locked(tmp_path / "other"):
        pass


WITHOUT_FLOCK = """
import errno, fcntl, os
def flock(*args):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = flock
"""


@pytest.fixture
def no_flock(monkeypatch):
    """A file system without `flock`, as some network mounts are."""
    import fcntl

    def flock(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(sys.modules[__name__], "HOLD", WITHOUT_FLOCK + HOLD)


def test_without_flock_a_file_names_the_process(tmp_path, holding, no_flock):
    process = holding(tmp_path / "run")
    assert f"process {process.pid} on " in refused(tmp_path / "run")
    process.communicate("")
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "run"):
        refused(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_without_flock_a_killed_process_of_this_host_holds_nothing(tmp_path, holding, no_flock):
    process = holding(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_flock_the_lock_of_another_host_stands(tmp_path, no_flock):
    (tmp_path / ".run.pid.lock").write_text("1\nelsewhere\n")
    assert "process 1 on elsewhere" in refused(tmp_path / "run")


def test_a_lock_is_given_back_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(filelock.Timeout), locked(tmp_path / "run"):
            raise filelock.Timeout("x")
