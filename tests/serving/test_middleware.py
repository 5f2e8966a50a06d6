import asyncio
import json
from pathlib import Path

import pytest

from ser.serving.hosts import Hosts
from ser.serving.memory import MemoryBudget
from ser.serving.middleware import SecurityMiddleware
from ser.serving.uploads import Uploads

HOST = "127.0.0.1:7860"


async def welcome(scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    seen = b" ".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.body", "body": message["body"], "seen": seen})


FOLDER = Path("/never/there")


def asked(method="GET", path="/", body=b"", kept=None, host="127.0.0.1", named=HOST, origin=None, allowed=(), more=()):
    """Status, headers and content that a request gets."""
    budget = MemoryBudget(1_000_000)
    uploads = kept or Uploads(FOLDER, budget, 1, 60)
    middleware = SecurityMiddleware(welcome, Hosts.from_config(host, allowed), uploads, budget)
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"host", named.encode()), *more]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(middleware(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"], sent[1].get("seen")


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
        status, _, content, _ = asked("POST", path, origin=origin)
        assert status == 403
        assert "another site's page may not ask" in json.loads(content)["error"]
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


def test_an_event_of_the_page_is_limited_in_size():
    assert asked("POST", "/gradio_api/reset", b"x" * 100_000)[:3:2] == (200, b"x" * 100_000)
    assert asked("POST", "/gradio_api/reset", b"x" * 100_001)[0] == 413


def test_headers_of_a_proxy_that_anybody_can_send_reach_nobody():
    names = (b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for", b"x-gradio-server", b"forwarded")
    status, _, _, seen = asked(more=[(name, b"evil.example") for name in names], allowed=["ser.example"])
    assert (status, seen) == (200, b"host")
    assert asked(named="evil.example", more=[(b"x-forwarded-host", HOST.encode())])[0] == 421


def test_a_proxy_in_front_is_let_in_by_its_name_and_nothing_else_is():
    site = "https://ser.example"
    for named in (HOST, "ser.example", "ser.example:443"):
        assert asked("POST", "/predict", named=named, origin=site, allowed=["ser.example"])[0] == 200
        assert asked("POST", "/predict", named=named, origin="https://evil.example", allowed=["ser.example"])[0] == 403
    assert asked("POST", "/predict", origin=site)[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/predict"), ("HEAD", "/predict"), ("OPTIONS", "/predict"), ("OPTIONS", "/"), ("DELETE", "/"), ("X", "/")],
)
def test_another_method_is_refused_in_a_line(method, path):
    status, _, content, _ = asked(method, path)
    assert status == 405
    assert f"{method} is not allowed here; choices: " in json.loads(content)["error"]


def test_a_page_may_load_and_ask_nothing_but_its_own_server():
    policy = asked()[1][b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "connect-src 'self' blob:;" in policy
    assert "http" not in policy


def event(paths):
    """What reaches Gradio of an event that names one upload, and these paths."""
    kept = Uploads(FOLDER, MemoryBudget(1_000_000), 1, 60)

    async def keep():
        return kept.keep("voice.wav", b"voice")

    upload = asyncio.run(keep())
    entries = [path and {"path": path.replace("UPLOAD", upload), "url": "http://evil.example"} for path in paths]
    event = {"data": entries, "fn_index": 0, "session_hash": "s", "event_data": {"path": "/etc/passwd"}, "simple": 1}
    status, _, content, _ = asked("POST", "/gradio_api/queue/join", json.dumps(event).encode(), kept)
    return status, json.loads(content), upload


def test_an_event_reaches_gradio_with_nothing_in_it_but_uploads():
    status, content, upload = event(["UPLOAD", None])
    assert status == 200
    kept = {"path": upload, "meta": {"_type": "gradio.FileData"}}
    assert content == {"data": [kept, None], "fn_index": 0, "session_hash": "s"}


@pytest.mark.parametrize("path", ["/etc/passwd", "http://evil.example/a.wav", "../secret.wav", "\0", "UPLOAD/../../x"])
def test_an_event_cannot_name_a_file_or_an_address(path):
    assert event([path])[0] == 404


@pytest.mark.parametrize("content", [b"", b"[]", b'{"data": 1}', b'{"data": ["text"]}', b"[" * 9_000, b"\xff"])
def test_what_is_no_event_is_refused(content):
    assert asked("POST", "/gradio_api/queue/join", content)[0] == 400
