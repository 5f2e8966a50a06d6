"""Connections to a server without a model, in a thread of this process."""

import json
import socket
from contextlib import contextmanager
from threading import Event, Thread

import pytest

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")

import uvicorn

from ser.serving.connections import BoundedProtocol


class Server(uvicorn.Server):
    started_event: Event

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.started_event.set()


async def echo(scope, receive, send):
    """Answers /large with more than the buffers of a connection hold, /stream with one event, else with the body."""
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        content += message["body"]
        if not message["more_body"]:
            break
    content = b"x" * 50_000_000 if scope["path"] == "/large" else bytes(content)
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def running(**limits):
    """The address of a server whose protocol has these limits."""
    protocol = type("Limited", (BoundedProtocol,), limits)
    config = uvicorn.Config(
        echo, http=protocol, lifespan="off", log_config=None, h11_max_incomplete_event_size=16_384,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = Server(config)
    server.started_event = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        assert server.started_event.wait(30)
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join(30)


def connect(address, sent=b""):
    connection = socket.create_connection(address, timeout=30)
    connection.sendall(sent)
    return connection


def rest(connection):
    """What still comes, up to the end of the connection."""
    content = bytearray()
    try:
        while piece := connection.recv(65536):
            content += piece
    except ConnectionResetError:
        pass
    return bytes(content)


def ask(address, path="/", body=b"hello", close=True):
    end = b"Connection: close\r\n" if close else b""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (path.encode(), end, len(body))
    with connect(address, head + body) as connection:
        return rest(connection)


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_sends_no_whole_header_is_closed(begun):
    with running(HEADER_SECONDS=0.05) as address, connect(address, begun) as connection:
        assert rest(connection) == b""
        assert b"hello" in ask(address)


def test_a_connection_is_closed_as_well_when_the_next_header_does_not_come():
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
    with running(HEADER_SECONDS=0.05) as address, connect(address, request + b"GET / HT") as connection:
        assert rest(connection).endswith(b"ab")


def test_a_client_that_does_not_read_is_closed():
    lost = Event()

    def connection_lost(self, error):
        BoundedProtocol.connection_lost(self, error)
        lost.set()

    large = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    limits = {"WRITE_SECONDS": 0.05, "connection_lost": connection_lost}
    with running(**limits) as address, connect(address, large) as connection:
        assert lost.wait(30)
        assert len(rest(connection)) < 50_000_000


def test_who_reads_gets_all_of_a_large_answer():
    with running(WRITE_SECONDS=5) as address:
        assert len(ask(address, "/large")) > 50_000_000


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx", b"GET /stream HTTP/1.1\r\n\r\n"],
    ids=["nothing", "half a header", "half a body", "a stream"],
)
def test_a_crowd_of_idle_clients_locks_nobody_out(begun):
    with running(CONNECTIONS=5) as address:
        crowd = [connect(address, begun.replace(b"\r\n\r\n", b"\r\nHost: x\r\n\r\n", 1)) for _ in range(12)]
        assert b"hello" in ask(address)
        assert b"hello" in ask(address)
        for connection in crowd:
            connection.close()


def test_a_header_that_is_too_large_and_what_is_no_http_get_a_line_of_json():
    with running() as address:
        for sent in (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", b"\x16\x03\x01 hello\r\n\r\n"):
            with connect(address, sent) as connection:
                head, _, content = rest(connection).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert json.loads(content) == {"error": "invalid http request received"}


def test_requests_that_are_sent_at_once_are_answered_one_after_the_other():
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%b"
    last = b"GET / HTTP/1.0\r\n\r\n"
    with running() as address, connect(address, request % b"ab" + request % b"cd" + last) as connection:
        answers = rest(connection)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.index(b"ab") < answers.index(b"cd")
