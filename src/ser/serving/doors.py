"""What is let in before any of it is read, and what a page may do: in front of both the page and the API.

A server on 127.0.0.1 has visitors that nobody invited: any page that the user's browser shows can send requests to it.
They are kept out by two headers that a page cannot forge: `Origin` names another site, or, where a name of an
attacker's leads to 127.0.0.1 (DNS rebinding), `Host` does. Of Gradio's addresses those are open that the page needs; it
has many more, some of which fetch addresses or read files that the client names.
"""

import json
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from ser.serving.api import refusal
from ser.serving.body import Body, Gone, Message, Receive
from ser.serving.turns import Refused, Turns
from ser.serving.uploads import FILE, Uploads

Send = Callable[[Message], Awaitable[None]]
Scope = dict[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

READ = frozenset(
    {"/", "/config", "/theme.css", "/favicon.ico", "/health"}
    | {f"/gradio_api/{name}" for name in ("queue/data", "upload_progress", "startup-events")}
)
READ_BELOW = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/", FILE)
UPLOAD = "/gradio_api/upload"
EVENT = "/gradio_api/queue/join"
SENT = frozenset({UPLOAD, EVENT, "/gradio_api/reset", "/gradio_api/cancel"})
ANSWERED = "/predict"
"""Reads its body by itself."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio makes functions of its own templates
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "media-src 'self' blob:",
        "connect-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page's own server is the only one it may ask for anything."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FORM = 0.1
"""Megabytes that a form needs around a file."""


class Doors:
    """An ASGI application around another."""

    def __init__(self, app: App, host: str, turns: Turns, uploads: Uploads, max_megabytes: float) -> None:
        self.app = app
        self.names = local_names(host)
        self.turns = turns
        self.uploads = uploads
        self.max_megabytes = max_megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with why not."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        body = Body(receive, self.max_megabytes + FORM, self.uploads.patience)
        try:
            self.check(scope)
            if scope["method"] == "POST" and scope["path"] != ANSWERED:
                with self.turns.place():
                    content = await body.whole()
                receive = replayed(self.event(content) if scope["path"] == EVENT else content, receive)
            await self.app(scope, receive, with_headers(send))
        except Refused as error:
            await body.discard()
            await refusal(error)(scope, receive, send)
        except Gone:
            return

    def check(self, scope: Scope) -> None:
        """Raise Refused unless the request is for this server, from its own page or from a program, and for a door."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.names and host_name(host) not in self.names:
            raise Refused(421, "this server answers to its own address alone")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, "another site's page may not ask")
        if not self.is_open(scope["method"], scope["path"]):
            raise Refused(404, "there is nothing here")
        if scope["path"] == UPLOAD and self.uploads.is_full():
            raise Refused(503, "too many files are waiting for an answer", wait=round(self.uploads.patience))

    def event(self, content: bytes) -> bytes:
        """What a page says has happened, reduced to what our page may say: that there is an upload, or none any more.

        Gradio opens what is named here, and fetches what has an address: it asks itself whether it should only where it
        was started by its own `launch`.

        Raises:
            Refused: it says something else.
        """
        try:
            told = json.loads(content)
            paths = [None if entry is None else str(entry["path"]) for entry in told["data"]]
            places = [None if path is None else str(self.uploads.place(path)) for path in paths]
            kept = {key: told[key] for key in ("fn_index", "trigger_id", "session_hash") if key in told}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(400, "this is no event of the page") from error
        data = [place and {"path": place, "meta": {"_type": "gradio.FileData"}} for place in places]
        return json.dumps({**kept, "data": data}).encode()

    def is_open(self, method: str, path: str) -> bool:
        if path == ANSWERED:
            return True
        if method == "POST":
            return path in SENT
        return method in ("GET", "HEAD") and (path in READ or path.startswith(READ_BELOW))


def local_names(host: str) -> frozenset[str]:
    """The names a server on this machine alone is asked by; none of one on a network, whose names nobody knows.

    >>> sorted(local_names("127.0.0.1")), sorted(local_names("0.0.0.0"))
    (['127.0.0.1', '::1', 'localhost'], [])
    """
    return frozenset({"127.0.0.1", "::1", "localhost", host} if is_local(host) else ())


def host_name(host: str) -> str:
    """The name in a Host header, without the port.

    >>> host_name("localhost:7860"), host_name("[::1]:7860"), host_name("[::1")
    ('localhost', '::1', '[')
    """
    return host[1:].split("]")[0] if host.startswith("[") and "]" in host else host.split(":")[0]


def is_local(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def replayed(content: bytes, receive: Receive) -> Receive:
    """What is in memory, as if it arrived now."""
    waiting = [content]

    async def next_message() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return next_message


def with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent
