"""Read a request body within limits on its size, its time and the memory of the server."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from ser.serving.memory import RETRY, Holding, reserved, written
from ser.serving.responses import Refused

DISCARD_SECONDS = 5
"""Seconds to read the rest of a refused body: many clients read no response before they have sent everything."""

Pieces = AsyncGenerator[bytes, None]
Result = TypeVar("Result")


class Body:
    """The body of one request; its Content-Length header is not trusted."""

    def __init__(self, request: Request, max_megabytes: float, timeout: float) -> None:
        self.stream = request.stream()
        self.max_megabytes = max_megabytes
        self.timeout = timeout
        """Seconds."""
        self.scope = anyio.CancelScope()
        self.is_evicted = False

    def evict(self) -> None:
        """Stop reading, because other requests need the memory."""
        self.is_evicted = True
        self.scope.cancel()

    async def whole(self, holding: Holding) -> memoryview:
        """Read the whole body; see `read` for the exceptions."""

        async def collected(pieces: Pieces) -> memoryview:
            room = reserved(self.max_megabytes)
            async for piece in pieces:
                room.write(piece)
            return written(room)

        return await self.read(collected, holding)

    async def read(self, consume: Callable[[Pieces], Awaitable[Result]], holding: Holding) -> Result:
        """Pass the pieces to a consumer as they arrive.

        Raises:
            Refused: The body is too large, arrives too slowly, or does not fit into memory.
            ClientDisconnect: The client disconnected.
        """
        self.scope.deadline = anyio.current_time() + self.timeout
        with self.scope:
            result = await consume(self.pieces(holding))
            holding.pin()
            return result
        if self.is_evicted:
            raise Refused(503, f"the memory for recordings is full: ask again in {RETRY} s", RETRY)
        raise Refused(408, f"the file did not arrive within {self.timeout:g} s")

    async def pieces(self, holding: Holding) -> Pieces:
        size = 0
        async for piece in self.stream:
            size += len(piece)
            if size > self.max_megabytes * 1e6:
                raise Refused(413, f"the file is larger than max_megabytes={self.max_megabytes:g}")
            holding.add(len(piece))
            yield piece

    async def discard(self) -> None:
        """Read the rest of the body for at most `DISCARD_SECONDS` and discard it."""
        with anyio.move_on_after(DISCARD_SECONDS), suppress(ClientDisconnect):
            async for _ in self.stream:
                pass
