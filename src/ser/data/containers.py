"""The length in the header of a container, which libsndfile does not compare with the file.

libsndfile reads what is left of a file that was cut, and the first of several recordings in one file, as if that were
the whole. So the headers are read here first: such a file is refused, and where a pipe wrote it and its header gives no
length, libsndfile is given a header that does.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

MAGICS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"dns.", b"caff", b"fLaC", b"OggS", b"NIST")
"""First four bytes of the containers that are read; an MP3 has none."""

TRUNCATED = "it is truncated: the file ends before the length its header gives"
SEVERAL = "it holds several recordings, one after the other, and only the first would be read; split it"
DAMAGED = "it cannot be decoded: it is damaged"
UNKNOWN = "it cannot be decoded: it is no WAV, RF64, W64, FLAC, Ogg, MP3, AIFF, AU, CAF or NIST file"


class UnreadableAudio(Exception):
    """A recording that cannot be used; the message says why, without the path."""


@dataclass(frozen=True)
class Layout:
    """How a container is divided into chunks."""

    first: int
    """Where its first chunk begins, in bytes."""
    head: struct.Struct
    """Name and size of a chunk."""
    data: bytes
    """Name of the chunk that holds the samples."""
    align: int = 2
    """Bytes; chunks begin at a multiple of it."""
    inclusive: bool = False
    """Whether a size counts the head of the chunk."""


LITTLE, BIG = struct.Struct("<4sI"), struct.Struct(">4sI")
W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
LAYOUTS = {
    b"RIFF": Layout(12, LITTLE, b"data"),
    b"RIFX": Layout(12, BIG, b"data"),
    b"RF64": Layout(12, LITTLE, b"data"),
    b"FORM": Layout(12, BIG, b"SSND"),
    b"riff": Layout(40, struct.Struct("<16sq"), W64_DATA, align=8, inclusive=True),
    b"caff": Layout(8, struct.Struct(">4sq"), b"data", align=1),
}
KINDS = {b"RIFF": (b"WAVE",), b"RIFX": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC")}
"""What stands at the eighth byte: other kinds of such files hold no recording."""
MOST_CHUNKS = 10_000

STEP = 2**24
NEAR = 4096
"""Bytes: a header, or a block of a disk, that a program takes off or adds to the size that it makes up."""
HUGE = 2**30


def is_placeholder(size: int) -> bool:
    """Return whether the size of a chunk means "unknown": a program that cannot go back to fill it in wrote it.

    Such a size says nothing about the recording: it is huge and round, in binary or in decimal, less a header or a
    block or plus a few bytes.

    >>> [is_placeholder(size) for size in (0xFFFFFFFF, 0x7FFFF000, 0x7F000008, 2_000_000_000, 1_999_999_988)]
    [True, True, True, True, False]
    """
    return size < 0 or (size >= HUGE and (-size % STEP <= NEAR or size % STEP < 64 or size % 10**9 == 0))


Pieces = Sequence["bytes | memoryview | range"]
"""What libsndfile is given to read: stretches of a file, and bytes that stand between them."""


class View(io.RawIOBase):
    """The pieces of a file, as one."""

    def __init__(self, file: BinaryIO, pieces: Pieces) -> None:
        self._file, self._pieces, self._at = file, pieces, 0
        *self._starts, self._end = accumulate(map(len, pieces), initial=0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; before the begin is at the begin, where a damaged header may lead."""
        self._at = max(0, offset + (0, self._at, self._end)[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the pieces go."""
        filled = 0
        for piece, start in zip(self._pieces, self._starts, strict=True):
            skipped = self._at - start
            if 0 <= skipped < len(piece) and filled < len(buffer):
                content = self._content(piece[skipped : skipped + len(buffer) - filled])
                buffer[filled : filled + len(content)] = content
                filled, self._at = filled + len(content), self._at + len(content)
        return filled

    def _content(self, piece: bytes | memoryview | range) -> bytes | memoryview:
        if not isinstance(piece, range):
            return piece
        self._file.seek(piece.start)
        return self._file.read(len(piece))


def chunked(file: BinaryIO, magic: bytes, length: int) -> Pieces:
    """Check a container of chunks.

    Returns:
        What libsndfile is to be given.

    Raises:
        UnreadableAudio: the samples end before the header says, or are not all.
    """
    layout, found = LAYOUTS[magic], None
    for name, start, size in chunks(file, layout, length):
        if name == layout.data and found is None:
            if is_open(file, magic, start, size, length):
                return filled_in(file, layout, start, length)
            if start + size > length:
                raise UnreadableAudio(TRUNCATED)
            found = start + size
        elif found is not None and (name == layout.data or name[:4] in MAGICS):
            raise UnreadableAudio(SEVERAL)
    if found is None:
        raise UnreadableAudio(f"{DAMAGED}: no samples behind its header")
    file.seek(found)
    if file.read(4) in MAGICS:
        raise UnreadableAudio(SEVERAL)
    # Of this container libsndfile takes all that follows for samples.
    return [range(found if magic == b"riff" else length)]


def chunks(file: BinaryIO, layout: Layout, length: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk, those of RF64 with the size that does not fit into 32 bits."""
    at, long = layout.first, 0xFFFFFFFF
    for _ in range(MOST_CHUNKS):
        if at + layout.head.size > length:
            return
        file.seek(at)
        head = file.read(layout.head.size)
        name, size = layout.head.unpack(head)
        size -= layout.head.size if layout.inclusive else 0
        start = at + layout.head.size
        if name == b"ds64" and len(sizes := file.read(16)) == 16:
            (long,) = struct.unpack("<8xq", sizes)
        if name == b"data" and size == 0xFFFFFFFF:
            size = long
        yield name, start, size
        if size < 0:
            return
        at = start + size
        at += -at % layout.align


def is_open(file: BinaryIO, magic: bytes, start: int, size: int, length: int) -> bool:
    """Return whether the size of the samples was never filled in: it is a placeholder, or 0 where the file goes on."""
    if size > 0 or magic not in KINDS:
        return is_placeholder(size) and (size < 0 or start + size > length)
    file.seek(4)
    (whole,) = struct.unpack("<I" if LAYOUTS[magic].head is LITTLE else ">I", file.read(4))
    return start < length and (whole + 8 <= start or is_placeholder(whole))


def filled_in(file: BinaryIO, layout: Layout, start: int, length: int) -> Pieces:
    """Let the samples reach to the end of the file."""
    if find(file, b"WAVEfmt ", start) >= 0:
        raise UnreadableAudio(SEVERAL)
    size = length - start + (layout.head.size if layout.inclusive else 0)
    try:
        head = layout.head.pack(layout.data, size)
    except struct.error as error:
        raise UnreadableAudio("its header gives no length, and it is beyond 4 GB; write it as RF64 or FLAC") from error
    return [range(start - layout.head.size), head, range(start, length)]


def sun(file: BinaryIO, magic: bytes, length: int) -> Pieces:
    """Check an AU file; see `chunked`."""
    offset, size = struct.unpack("<4xII" if magic == b"dns." else ">4xII", header(file, 12))
    if is_placeholder(size) and offset + size > length:
        return [range(length)]
    if offset + size > length:
        raise UnreadableAudio(TRUNCATED)
    file.seek(offset + size)
    if file.read(4) == magic:
        raise UnreadableAudio(SEVERAL)
    return [range(length)]


def sphere(file: BinaryIO, length: int) -> Pieces:
    """Check a NIST file (TIMIT), whose header is text; see `chunked`."""
    lines = header(file, 1024).decode("latin-1").splitlines()
    fields = {words[0]: words[2] for line in lines if len(words := line.split(maxsplit=2)) == 3}
    try:
        start = int(lines[1])
        size = int(fields["sample_count"]) * int(fields["channel_count"]) * int(fields["sample_n_bytes"])
    except (KeyError, ValueError, IndexError) as error:
        raise UnreadableAudio(f"{DAMAGED}: its header gives no length") from error
    if start < 0 or size < 0:
        raise UnreadableAudio(f"{DAMAGED}: its header gives no length")
    if start + size > length:
        raise UnreadableAudio(TRUNCATED)
    file.seek(start + size)
    if file.read(4) == b"NIST":
        raise UnreadableAudio(SEVERAL)
    return [range(start + size)]


def header(file: BinaryIO, size: int) -> bytes:
    file.seek(0)
    content = file.read(size)
    if len(content) < size:
        raise UnreadableAudio(TRUNCATED)
    return content


def find(file: BinaryIO, wanted: bytes, at: int) -> int:
    """First place of some bytes from `at` on, or -1."""
    file.seek(at)
    rest = b""
    while block := file.read(2**20):
        content = rest + block
        place = content.find(wanted)
        if place >= 0:
            return at - len(rest) + place
        rest = content[-len(wanted) + 1 :]
        at += len(block)
    return -1
