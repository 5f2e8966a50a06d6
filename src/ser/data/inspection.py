"""Check that a file holds one whole recording, in any supported container."""

import io
from typing import BinaryIO

from ser.data import packets
from ser.data.containers import KINDS, LAYOUTS, UNKNOWN, Pieces, UnreadableAudio, chunked, sphere, sun


def inspect_recording(file: BinaryIO) -> tuple[Pieces, bool]:
    """Check that a file holds one whole recording.

    Returns:
        What libsndfile is to read of it, and whether it is an MP3.

    Raises:
        UnreadableAudio: it does not, or it is of another kind than those that are read.
    """
    length = file.seek(0, io.SEEK_END)
    if not length:
        raise UnreadableAudio("the file is empty")
    begin = skip_tags(file)
    file.seek(begin)
    head = file.read(12)
    magic, kind, frames = head[:4], head[8:], -1
    pieces: Pieces = [range(length)]
    if magic in LAYOUTS and kind in KINDS.get(magic, (kind,)):
        pieces = chunked(file, magic, length)
    elif magic in (b".snd", b"dns."):
        sun(file, magic, length)
    elif magic == b"NIST":
        pieces = sphere(file, length)
    elif magic == b"fLaC":
        packets.flac(file, begin)
    elif magic == b"OggS":
        packets.ogg(file, begin, length)
    elif magic not in LAYOUTS and (frames := packets.first_frame(file, begin)) >= 0:
        pieces = packets.mp3(file, frames, length)
    else:
        raise UnreadableAudio(UNKNOWN)
    return pieces, frames >= 0


def skip_tags(file: BinaryIO) -> int:
    """Return where the recording begins, behind the ID3 tags at the begin of a file."""
    at = 0
    file.seek(at)
    while len(head := file.read(10)) == 10 and head[:3] == b"ID3":
        at += 10 + sum((value & 127) << shift for value, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(at)
    return at
