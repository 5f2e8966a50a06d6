"""Security middleware in front of the page and the API: checks requests before reading them, and sets page policies.

A server on 127.0.0.1 gets unwanted requests, because any page in the user's browser can send requests to it.
Two headers that a page cannot forge identify them: `Origin` names another site, or, where an attacker's host name
resolves to 127.0.0.1 (DNS rebinding), `Host` does. Only the routes of Gradio that the page needs are open; some of the
others fetch URLs or read files that the client names.
"""

import json

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ser.serving.body import Body
from ser.serving.hosts import Hosts
from ser.serving.memory import MemoryBudget
from ser.serving.responses import Refused, refusal
from ser.serving.uploads import FILE, Uploads

PREDICT = "/predict"
UPLOAD = "/gradio_api/upload"
EVENT = "/gradio_api/queue/join"
READ = frozenset(
    {"/", "/config", "/theme.css", "/favicon.ico", "/health"}
    | {f"/gradio_api/{name}" for name in ("queue/data", "upload_progress", "startup-events")}
)
READ_BELOW = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/", FILE)
EVENTS = frozenset({EVENT, "/gradio_api/reset", "/gradio_api/cancel"})
"""Routes that take small JSON bodies from the page."""
SENT = frozenset({PREDICT, UPLOAD}) | EVENTS
EVENT_MEGABYTES = 0.1
"""Largest event; while one is parsed, no other request is served."""
FORWARDED = ("x-forwarded-", "x-gradio-", "forwarded", "x-real-ip")
"""Headers that any client can send and that Gradio would trust."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio compiles its templates to functions
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
"""The page may send requests to its own server only."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SecurityMiddleware:
    """ASGI middleware that checks requests and sets security headers."""

    def __init__(self, app: ASGIApp, hosts: Hosts, uploads: Uploads, budget: MemoryBudget) -> None:
        self.app = app
        self.hosts = hosts
        self.uploads = uploads
        self.budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or respond with the reason for refusing it."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        body = Body(Request(scope, receive), EVENT_MEGABYTES, self.uploads.timeout)
        try:
            self.check(scope)
            if scope["path"] in EVENTS:
                with self.budget.holding(body.evict) as holding:
                    content = bytes(await body.whole(holding))
                receive = replayed(self.event(content) if scope["path"] == EVENT else content, receive)
        except Refused as error:
            response = refusal(error)
        except ClientDisconnect:
            return None
        else:
            headers = [
                (name, value) for name, value in scope["headers"] if not name.decode("latin-1").startswith(FORWARDED)
            ]
            return await self.app({**scope, "headers": headers}, receive, with_headers(send))
        await body.discard()
        return await response(scope, receive, with_headers(send))

    def check(self, scope: Scope) -> None:
        """Raise Refused unless host, origin, path and method are allowed; programs send no Origin header."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.hosts.is_ours(host):
            raise Refused(421, "this server answers to its own names alone; behind a proxy set allowed_hosts")
        if not all(self.hosts.may_ask(origin, host) for origin in headers.getlist("origin")):
            raise Refused(403, "another site's page may not ask; behind a proxy set allowed_hosts")
        methods = methods_of(scope["path"])
        if not methods:
            raise Refused(404, "there is nothing here")
        if scope["method"] not in methods:
            raise Refused(405, f"{scope['method']} is not allowed here; choices: {', '.join(methods)}")

    def event(self, content: bytes) -> bytes:
        """Return a Gradio event reduced to the content that the page may send: an upload, or its removal.

        Gradio opens the files that an event names and fetches its URLs; it checks them only in an application started
        by its own `launch`.

        Raises:
            Refused: The event has other content, or names an unknown upload.
        """
        try:
            event = json.loads(content)
            paths = [None if entry is None else str(entry["path"]) for entry in event["data"]]
            kept = {key: event[key] for key in ("fn_index", "trigger_id", "session_hash") if key in event}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(400, "this is no event of the page") from error
        for path in paths:
            if path is not None:
                self.uploads.find(path)
        data = [path and {"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
        return json.dumps({**kept, "data": data}).encode()


def methods_of(path: str) -> tuple[str, ...]:
    """Return the methods that a path accepts; none for an unknown path."""
    if path in SENT:
        return ("POST",)
    return ("GET", "HEAD") if path in READ or path.startswith(READ_BELOW) else ()


def replayed(content: bytes, receive: Receive) -> Receive:
    """Return an ASGI `receive` that delivers a body from memory first."""
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
