"""What a client sends: never more of it in memory than the limit, never longer than the server's patience."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from ser.serving.turns import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Gone(Exception):
    """The client left before its request was whole."""


class Body:
    """The body of a request, as it arrives; what a header says of its length is not believed."""

    def __init__(self, receive: Receive, max_megabytes: float, patience: float) -> None:
        self.receive = receive
        self.max_megabytes = max_megabytes
        self.patience = patience
        self.ended = False

    async def whole(self) -> bytes:
        """All of it.

        Raises:
            Refused: it is too large, or too slow.
            Gone: the client left.
        """
        try:
            return await asyncio.wait_for(self.collected(), self.patience)
        except asyncio.TimeoutError as error:
            raise Refused(408, f"the file did not arrive within {self.patience:g} s") from error

    async def collected(self) -> bytes:
        held = bytearray()
        async for piece in self.pieces():
            held += piece
            if len(held) > self.max_megabytes * 1e6:
                raise Refused(413, f"the file is larger than max_megabytes={self.max_megabytes:g}")
        return bytes(held)

    async def discard(self) -> None:
        """Read on to nowhere: a client that is still sending hears no answer before it has sent everything."""
        try:
            await asyncio.wait_for(self.drained(), self.patience)
        except (asyncio.TimeoutError, Gone):
            return

    async def drained(self) -> None:
        async for _ in self.pieces():
            pass

    async def pieces(self) -> AsyncIterator[bytes]:
        while not self.ended:
            message = await self.receive()
            self.ended = not message.get("more_body", False)
            if message["type"] == "http.disconnect":
                raise Gone
            yield message.get("body", b"")
