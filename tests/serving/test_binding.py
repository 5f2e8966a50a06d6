import os
import socket
import tempfile
from pathlib import Path

import pytest

from ser.errors import UserError
from ser.serving.binding import address_of, bound, private_folder


def test_a_port_in_use_is_reported_with_what_to_do():
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        message = f"host=127.0.0.1 port={port}: Address already in use; port=0 takes any that is free"
        with pytest.raises(UserError, match=message), bound("127.0.0.1", port):
            pass


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(UserError, match=r"host=192\.0\.2\.1 port=0"), bound("192.0.2.1", 0):
        pass


def test_nobody_is_answered_before_the_server_runs():
    with bound("127.0.0.1", 0) as listening, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listening.getsockname())


def test_the_address_is_one_for_a_browser():
    with bound("127.0.0.1", 0) as listening:
        assert address_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_temporary_files_of_libraries_go_to_a_folder_of_this_user_alone_that_ends_with_the_server(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    usual = tempfile.gettempdir()
    with private_folder() as folder:
        handle, name = tempfile.mkstemp()
        os.close(handle)
        assert Path(name).parent == folder
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder / "gradio")
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert tempfile.gettempdir() == usual
