"""The files that Gradio puts down on the page's behalf: off the disk when they are asked about, then forgotten."""

import mimetypes
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, time

from starlette.requests import Request
from starlette.responses import Response

from ser.serving.turns import Refused

FILE = "/gradio_api/file="
"""Where the page's player asks for what was uploaded, at the same time as the page asks for the answer."""


class Uploads:
    """A folder of uploads, and the latest of those that are no longer in it."""

    def __init__(self, folder: Path, most: int, patience: float) -> None:
        self.folder = folder
        self.most = most
        """Files, in the folder and of those that are remembered."""
        self.patience = patience
        """Seconds: nothing stays for longer."""
        self.taken: OrderedDict[Path, tuple[float, bytes]] = OrderedDict()

    def take(self, path: str) -> bytes:
        """What is in a file, which is then no longer on the disk.

        Raises:
            Refused: it is no upload: a client may name any path.
        """
        place = self.place(path)
        content = self.content(place)
        place.unlink(missing_ok=True)
        with suppress(OSError):  # another upload of the same content is in it
            place.parent.rmdir()
        self.taken[place] = (monotonic(), content)
        while len(self.taken) > self.most:
            self.taken.popitem(last=False)
        return content

    def place(self, path: str) -> Path:
        """A path of the folder, wherever the client's way of writing it leads.

        Raises:
            Refused: it leads out of the folder.
        """
        try:
            place = Path(path).resolve()
        except (ValueError, OSError) as error:  # a name that no file can have
            raise Refused(404, "there is nothing here") from error
        if not place.is_relative_to(self.folder):
            raise Refused(404, "there is nothing here")
        return place

    def content(self, place: Path) -> bytes:
        """What is in an upload, on the disk or no longer there.

        Raises:
            Refused: it is in neither.
        """
        if place in self.taken:
            return self.taken[place][1]
        try:
            return place.read_bytes()
        except OSError as error:
            raise Refused(404, "the file is no longer here: send it again") from error

    async def played(self, request: Request) -> Response:
        """Answer the player; only audio is named as what it is, so that nothing else is run or shown."""
        path = request.path_params["path"]
        kind = mimetypes.guess_type(path)[0] or ""
        try:
            content = self.content(self.place(path))
        except Refused as error:
            return Response(str(error), error.status)
        is_audio = kind.startswith("audio/")
        return Response(content, media_type=kind if is_audio else "application/octet-stream")

    def files(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file())

    def is_full(self) -> bool:
        return sum(1 for _ in self.files()) >= self.most

    def sweep(self) -> None:
        """Forget what is old: a page was closed before it had its answer, a program only sent."""
        for path in self.files():
            with suppress(FileNotFoundError):  # taken in between
                if path.stat().st_mtime < time() - self.patience:
                    path.unlink()
        while self.taken and next(iter(self.taken.values()))[0] < monotonic() - self.patience:
            self.taken.popitem(last=False)
