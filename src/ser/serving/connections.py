"""Limits on connections: clients that send nothing, read nothing or open many connections do not block others."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_BYTES = 16_384
"""Largest header of a request."""


class BoundedProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol with timeouts; uvicorn itself waits forever for a header and for a reader."""

    HEADER_SECONDS = 10.0
    """Time limit for the header of a request to arrive."""
    WRITE_SECONDS = 60.0
    """Time limit for a client to read the data that is buffered for it."""
    CONNECTIONS = 200
    """Largest number of open connections. Each has buffers of up to 0.3 MB; an open page uses two or three."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the header timeout; above the limit, close the connection of the lowest rank."""
        super().connection_made(transport)
        self.header_timer: asyncio.TimerHandle | None = None
        self.write_timer: asyncio.TimerHandle | None = None
        self.last_data = self.loop.time()
        live = [other for other in self.connections if isinstance(other, BoundedProtocol) and other.is_open()]
        if len(live) > self.CONNECTIONS:
            missed = [other for other in live if other is not self and other.rank() is not None]
            min(missed, key=lambda other: (other.rank(), other.last_data), default=self).transport.abort()
        self.watch_header()

    def is_open(self) -> bool:
        return not self.transport.is_closing()

    def rank(self) -> int | None:
        """Return the priority of a connection, 0 to be closed first; None while it waits for a response."""
        if self.cycle is None or self.cycle.response_complete:
            return 0  # no request
        if self.cycle.response_started:
            return 2  # the event stream of a page, or a slow reader
        return 1 if self.cycle.more_body else None  # still sending, or waiting

    def data_received(self, data: bytes) -> None:
        """Pass the data to uvicorn, then update the header timeout."""
        self.last_data = self.loop.time()
        super().data_received(data)
        self.watch_header()

    def watch_header(self) -> None:
        awaited = self.rank() == 0 and self.timeout_keep_alive_task is None
        if awaited and self.header_timer is None:
            self.header_timer = self.loop.call_later(self.HEADER_SECONDS, self.transport.abort)
        elif not awaited and self.header_timer is not None:
            self.header_timer.cancel()
            self.header_timer = None

    def pause_writing(self) -> None:
        """Start the write timeout: the client does not read."""
        super().pause_writing()
        self.write_timer = self.loop.call_later(self.WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the write timeout: the client reads again."""
        super().resume_writing()
        if self.write_timer is not None:
            self.write_timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel both timeouts."""
        super().connection_lost(exc)
        for timer in (self.header_timer, self.write_timer):
            if timer is not None:
                timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Respond to invalid HTTP and to headers that are too large, in the format of every other error."""
        content = json.dumps({"error": msg.rstrip(".").lower()}).encode()
        headers = [("content-type", "application/json"), ("connection", "close")]
        events: list[Any] = [h11.Response(status_code=400, headers=headers), h11.Data(data=content), h11.EndOfMessage()]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
