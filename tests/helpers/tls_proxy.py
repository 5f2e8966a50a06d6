"""A reverse proxy with TLS in front of a server: what nginx does, without nginx."""

import asyncio
import shutil
import ssl
import subprocess
from contextlib import contextmanager
from threading import Event, Thread

import pytest

NAME = "ser.example"


def certificate(folder):
    """A key and a certificate that signs itself."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not here")
    key, chain = folder / "key.pem", folder / "chain.pem"
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return key, chain


async def pipe(reader, writer):
    try:
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    except (OSError, asyncio.CancelledError):
        pass
    writer.close()


def rewritten(head, upstream, keeps_host):
    """The header that is passed on: one request a connection, and what proxies add."""
    lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(b"connection:")]
    if not keeps_host:
        lines = [b"Host: " + upstream.encode() if line.lower().startswith(b"host:") else line for line in lines]
    added = [b"Connection: close", b"X-Forwarded-Proto: https", b"X-Forwarded-For: 10.0.0.1"]
    return b"\r\n".join([*lines, *added]) + b"\r\n\r\n"


@contextmanager
def proxied(upstream, folder, keeps_host):
    """The port of a proxy in front of `upstream` (HOST:PORT)."""
    key, chain = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    host, port = upstream.split(":")
    ready, found = Event(), {}

    async def connected(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            back, forth = await asyncio.open_connection(host, int(port))
        except (asyncio.IncompleteReadError, OSError):
            return writer.close()
        forth.write(rewritten(head, upstream, keeps_host))
        sending = asyncio.create_task(pipe(reader, forth))
        await pipe(back, writer)
        sending.cancel()

    async def serve():
        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        found.update(port=server.sockets[0].getsockname()[1], loop=asyncio.get_running_loop(), ended=asyncio.Event())
        ready.set()
        await found["ended"].wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield found["port"]
    finally:
        found["loop"].call_soon_threadsafe(found["ended"].set)
        thread.join(30)
