"""The page's uploads: kept in memory until the prediction is shown and, for the audio player, until `timeout`.

Gradio's own upload route writes to the disk, never stops accumulating its progress counts, and accepts a thousand files
per form. Its audio component only forwards the path from the upload's response, so no file needs to exist there.
"""

import asyncio
import mimetypes
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ser.serving.body import Body, Pieces
from ser.serving.memory import Holding, MemoryBudget, reserved, written
from ser.serving.responses import Refused, refusal

FILE = "/gradio_api/file="
"""Route at which the page's audio player requests an upload."""
FORM = 0.1
"""Megabytes of a form besides its file."""
PIECE = 65_536
"""Bytes per piece of a response to the audio player."""
SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


class InMemoryParser(MultiPartParser):
    """Starlette's form parser that writes the content of the single file to reserved memory."""

    def __init__(self, headers: Headers, pieces: Pieces, room: mmap) -> None:
        super().__init__(headers, pieces, max_files=1, max_fields=0)
        self.room = room

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Write a piece of the file; a form without fields has no other part."""
        self.room.write(memoryview(data)[start:end])


@dataclass
class Upload:
    """A recording uploaded by the page."""

    content: memoryview
    holding: Holding = field(repr=False)
    users: int = 0
    """Number of pending prediction requests for it."""


class Uploads:
    """Uploads in memory by the path that the page uses for them; no file exists at such a path."""

    def __init__(self, folder: Path, budget: MemoryBudget, max_megabytes: float, timeout: float) -> None:
        self.folder = folder
        """Gradio's temporary folder; Gradio rejects paths outside it."""
        self.budget = budget
        self.max_megabytes = max_megabytes
        self.timeout = timeout
        """Time limit in seconds for the upload of a recording, and the time that it is kept afterwards."""
        self.kept: dict[str, Upload] = {}

    async def receive(self, request: Request) -> Response:
        """Receive the file of a form; the response is a list with its path, as Gradio's page expects."""
        body = Body(request, self.max_megabytes + FORM, self.timeout)
        try:
            return JSONResponse([await self.received(request, body)])
        except ClientDisconnect:
            return Response(status_code=400)  # the client disconnected
        except Refused as error:
            response = refusal(error)
        await body.discard()  # not in the handler, where the error's traceback keeps the received data alive
        return response

    async def received(self, request: Request, body: Body) -> str:
        """Read the file of a form, keep it and return its path."""
        with self.budget.holding(body.evict) as holding:
            room = reserved(body.max_megabytes)
            name = await body.read(lambda pieces: name_of(request, pieces, room), holding)
        return self.keep(name, written(room))

    async def progress(self, request: Request) -> Response:
        """Return a finished progress; Gradio's own route would keep every upload in its counts."""
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    def keep(self, name: str, content: memoryview) -> str:
        """Keep a recording until `timeout`.

        Returns:
            Its path, which no client can guess and at which no file exists; it has the suffix of the name only.
        """
        suffix = Path(name).suffix.lower()
        path = str(self.folder / secrets.token_hex(16) / f"voice{suffix if SUFFIX.fullmatch(suffix) else ''}")
        holding = Holding(self.budget, lambda: self.forget(path))
        try:
            holding.add(len(content) + PIECE)  # PIECE limits the number of tiny uploads
        except Refused:
            holding.release()
            raise
        self.kept[path] = Upload(content, holding)
        self.expire(path)
        return path

    def expire(self, path: str) -> None:
        """Schedule the removal of a recording after `timeout`; it is postponed while a prediction is pending."""

        def expired() -> None:
            if path in self.kept and self.kept[path].users:
                self.expire(path)
            else:
                self.forget(path)

        asyncio.get_running_loop().call_later(self.timeout, expired)

    def forget(self, path: str) -> None:
        if (upload := self.kept.pop(path, None)) is not None:
            upload.holding.release()

    def find(self, path: str) -> Upload:
        """Look up an upload.

        Raises:
            Refused: There is no upload at this path, or it has expired; a client may request any path.
        """
        if path not in self.kept:
            raise Refused(404, "the recording is no longer here: send it again")
        return self.kept[path]

    @contextmanager
    def pinned(self, path: str) -> Iterator[memoryview]:
        """Yield the content of an upload, which is not evicted inside this context."""
        upload = self.find(path)
        upload.users += 1
        upload.holding.pin()
        try:
            yield upload.content
        finally:
            upload.users -= 1
            if not upload.users and path in self.kept:
                upload.holding.unpin()

    async def play(self, request: Request) -> Response:
        """Send an upload to the audio player; only audio gets its media type, so that a browser runs nothing else."""
        path = request.path_params["path"]
        try:
            size = len(self.find(path).content)
        except Refused as error:
            return refusal(error)
        kind = mimetypes.guess_type(path)[0] or ""
        is_audio = kind.startswith("audio/")
        headers = {"Content-Length": str(size)}
        return StreamingResponse(
            self.pieces(path, size), headers=headers, media_type=kind if is_audio else "application/octet-stream"
        )

    async def pieces(self, path: str, size: int) -> AsyncIterator[bytes]:
        """Yield an upload in pieces; look it up for each, so that a slow reader does not keep it in memory."""
        for start in range(0, size, PIECE):
            yield bytes(self.find(path).content[start : start + PIECE])


async def name_of(request: Request, pieces: Pieces, room: mmap) -> str:
    """Write the content of the single file of a form to reserved memory.

    Returns:
        The name of the file.

    Raises:
        Refused: The body is not a form with a single file.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(400, "an upload is a form")
    try:
        form = await InMemoryParser(request.headers, pieces, room).parse()
    except MultiPartException as error:
        raise Refused(400, f"this is no form of one file: {error.message}") from error
    file = form.get("files")
    if not isinstance(file, UploadFile):
        raise Refused(400, "this is no form of one file: it has no field 'files'")
    return file.filename or ""
