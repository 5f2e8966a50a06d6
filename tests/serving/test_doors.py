import asyncio
import json
from pathlib import Path

import pytest

from ser.serving.doors import Doors
from ser.serving.turns import Turns
from ser.serving.uploads import Uploads

HOST = "127.0.0.1:7860"


async def welcome(scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def asked(method="GET", path="/", body=b"", folder=Path("nowhere"), host="127.0.0.1", named=HOST, origin=None):
    """Status, headers and content that a request gets."""
    doors = Doors(welcome, host, Turns(1), Uploads(folder, 2, 60), 0.01)
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"host", named.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(doors(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("name", [HOST, "localhost:7860", "localhost", "[::1]:7860"])
def test_a_local_server_answers_to_the_names_of_this_machine(name):
    assert asked(named=name)[0] == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[::1", "[evil]"])
def test_a_name_that_leads_here_from_elsewhere_is_turned_away_unless_the_server_is_for_everybody(name):
    assert asked(named=name)[0] == 421
    assert asked(named=name, host="0.0.0.0")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:7860"])
def test_the_page_of_another_site_may_not_ask(origin):
    for path in ("/predict", "/gradio_api/upload", "/gradio_api/queue/join"):
        status, _, content = asked("POST", path, origin=origin)
        assert status == 403
        assert json.loads(content) == {"error": "another site's page may not ask"}
    assert asked("POST", "/predict", origin=f"http://{HOST}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/openapi.json",
        "/monitoring",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/proxy=http://127.0.0.1",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/custom_component/a/b/c/d",
        "/gradio_api/vibe-code",
        "/gradio_api/deep_link",
    ],
)
def test_what_the_page_does_not_need_is_not_there(path):
    assert asked("GET", path)[0] == 404


@pytest.mark.parametrize("path", ["/gradio_api/run/shown", "/gradio_api/call/shown", "/gradio_api/vibe-edit", "/login"])
def test_no_other_address_of_gradio_takes_anything(path):
    assert asked("POST", path)[0] == 404


def test_what_the_page_sends_is_limited_and_handed_on_whole():
    assert asked("POST", "/gradio_api/upload", b"x" * 100_000) == (200, asked()[1], b"x" * 100_000)
    assert asked("POST", "/gradio_api/upload", b"x" * 120_000)[0] == 413


def test_uploads_wait_when_too_many_are_there(tmp_path):
    for name in "ab":
        (tmp_path / name).touch()
    status, headers, _ = asked("POST", "/gradio_api/upload", b"x", folder=tmp_path)
    assert status == 503
    assert headers[b"retry-after"] == b"60"


def test_a_page_may_load_and_ask_nothing_but_its_own_server():
    policy = asked()[1][b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "connect-src 'self' blob:;" in policy
    assert "http" not in policy


def event(data, folder):
    told = {"data": data, "fn_index": 0, "session_hash": "s", "event_data": {"path": "/etc/passwd"}, "simple": 1}
    return asked("POST", "/gradio_api/queue/join", json.dumps(told).encode(), folder)


def test_an_event_reaches_gradio_with_nothing_in_it_but_uploads(tmp_path):
    path = str(tmp_path.resolve() / "voice.wav")
    upload = {"path": path, "url": "http://evil.example", "meta": {"_type": "gradio.FileData"}, "is_stream": True}
    status, _, content = event([upload, None], tmp_path.resolve())
    assert status == 200
    kept = {"path": path, "meta": {"_type": "gradio.FileData"}}
    assert json.loads(content) == {"data": [kept, None], "fn_index": 0, "session_hash": "s"}


@pytest.mark.parametrize("path", ["/etc/passwd", "http://evil.example/a.wav", "../secret.wav", "\0"])
def test_an_event_cannot_name_a_file_or_an_address(tmp_path, path):
    assert event([{"path": path, "meta": {"_type": "gradio.FileData"}}], tmp_path.resolve())[0] == 404


@pytest.mark.parametrize("content", [b"", b"[]", b'{"data": 1}', b'{"data": ["text"]}', b"[" * 9_000, b"\xff"])
def test_what_is_no_event_is_refused(tmp_path, content):
    assert asked("POST", "/gradio_api/queue/join", content, tmp_path)[0] == 400
