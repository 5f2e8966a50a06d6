"""The server's address, and a temporary folder that is removed when the server ends."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser.errors import UserError


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Bind the listening socket before the model loads; no request is answered yet.

    Raises:
        UserError: The address is in use, or does not belong to this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        if os.name == "posix":  # on Windows it would share a port that is in use
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(f"host={host} port={port}: {error.strerror}; port=0 takes any that is free") from error
    with listening:
        yield listening


def address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a folder for the temporary files of libraries, readable by this user only; remove it at the end.

    Gradio creates folders when it is imported, so import it inside this context. No recording is written there.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="ser-serve-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        tempfile.tempdir, os.environ["GRADIO_TEMP_DIR"] = str(folder), str(folder / "gradio")
        try:
            yield folder
        finally:
            tempfile.tempdir = before
