"""The recordings of the page, in memory: from their upload to the answer, and for the player a little longer.

Gradio's own upload writes to the disk, counts up for ever what it was sent, and takes a thousand files in one form. Its
audio component only passes on the path that the upload has answered, so nothing needs to lie there.
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
"""Where the page's player asks for what was uploaded."""
FORM = 0.1
"""Megabytes that a form needs around a file."""
PIECE = 65_536
"""Bytes that the player is sent at a time."""
SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


class InMemoryParser(MultiPartParser):
    """Starlette's parser of forms; the content of the one file goes to memory that was reserved for it."""

    def __init__(self, headers: Headers, pieces: Pieces, room: mmap) -> None:
        super().__init__(headers, pieces, max_files=1, max_fields=0)
        self.room = room

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the file: without fields there is no other part."""
        self.room.write(memoryview(data)[start:end])


@dataclass
class Upload:
    """A recording that was sent by the page."""

    content: memoryview
    holding: Holding = field(repr=False)
    users: int = 0
    """Requests for a prediction that wait for it."""


class Uploads:
    """Recordings by the paths that the page knows them by; no file has such a path."""

    def __init__(self, folder: Path, budget: MemoryBudget, max_megabytes: float, timeout: float) -> None:
        self.folder = folder
        """Gradio's: it passes on no path outside."""
        self.budget = budget
        self.max_megabytes = max_megabytes
        self.timeout = timeout
        """Seconds that a recording may take to arrive, and that it is then kept."""
        self.kept: dict[str, Upload] = {}

    async def receive(self, request: Request) -> Response:
        """Take the file of a form; the answer is the list of its path, as Gradio's page expects."""
        body = Body(request, self.max_megabytes + FORM, self.timeout)
        try:
            return JSONResponse([await self.received(request, body)])
        except ClientDisconnect:
            return Response(status_code=400)  # its sender is gone
        except Refused as error:
            response = refusal(error)
        await body.discard()  # not above, where the error's traceback keeps what has been read
        return response

    async def received(self, request: Request, body: Body) -> str:
        """Read the file of a form, and keep it; returns its path."""
        with self.budget.holding(body.evict) as holding:
            room = reserved(body.max_megabytes)
            name = await body.read(lambda pieces: name_of(request, pieces, room), holding)
        return self.keep(name, written(room))

    async def progress(self, request: Request) -> Response:
        """Tell the page that there is no progress to wait for: Gradio would remember every upload it counts."""
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    def keep(self, name: str, content: memoryview) -> str:
        """Keep a recording for a while.

        Returns:
            Its path, which no client can guess and no file has; of the name only the suffix is in it.
        """
        suffix = Path(name).suffix.lower()
        path = str(self.folder / secrets.token_hex(16) / f"voice{suffix if SUFFIX.fullmatch(suffix) else ''}")
        holding = Holding(self.budget, lambda: self.forget(path))
        try:
            holding.add(len(content) + PIECE)  # a crowd of tiny ones counts too
        except Refused:
            holding.release()
            raise
        self.kept[path] = Upload(content, holding)
        self.expire(path)
        return path

    def expire(self, path: str) -> None:
        """Forget a recording when its time is over, or the answer that it waits for is there."""

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
            Refused: there is none, or no longer: a client may name any path.
        """
        if path not in self.kept:
            raise Refused(404, "the recording is no longer here: send it again")
        return self.kept[path]

    @contextmanager
    def pinned(self, path: str) -> Iterator[memoryview]:
        """The content of an upload, which does not give way to others before the end."""
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
        """Answer the player; only audio is named as what it is, so that nothing else is run or shown."""
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
        """Look the upload up for each piece: a slow reader does not keep it in memory."""
        for start in range(0, size, PIECE):
            yield bytes(self.find(path).content[start : start + PIECE])


async def name_of(request: Request, pieces: Pieces, room: mmap) -> str:
    """Write the content of the one file of a form to the room for it.

    Returns:
        Its name.

    Raises:
        Refused: it is no form, or not of one file.
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
