"""The packets of compressed recordings, FLAC, Ogg and MP3: whether all of them are there, and of one recording."""

import struct
import zlib
from typing import BinaryIO

from ser.data.containers import DAMAGED, SEVERAL, TRUNCATED, Pieces, UnreadableAudio, find

FLAC_BEGIN = b"fLaC\x00\x00\x00\x22"
"""The magic and the head of the first block, which is always of this length."""


def flac(file: BinaryIO, at: int) -> None:
    """Refuse a FLAC file that another one follows; its length and checksums are for libFLAC."""
    if find(file, FLAC_BEGIN, at + 4) >= 0:
        raise UnreadableAudio(SEVERAL)


AUDIO_BEGINS = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
OGG_HEAD = struct.Struct("<4sBBqIIIB")
BEGINS = 2
"""Flag of the first page of a stream."""
REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def ogg(file: BinaryIO, at: int, length: int) -> None:
    """Walk over the pages of an Ogg file.

    Raises:
        UnreadableAudio: a page is cut, damaged or missing, or there are several streams of audio.
    """
    last, streams = dict[int, int](), 0
    while at < length:
        file.seek(at)
        head = file.read(OGG_HEAD.size)
        if head[:4] != b"OggS"[: len(head)]:
            # What is no page may follow the last one, but not stand between two.
            if find(file, b"OggS\x00", at) >= 0:
                raise UnreadableAudio(f"{DAMAGED}: bytes that are no page lie between its pages")
            break
        if len(head) < OGG_HEAD.size:
            raise UnreadableAudio(TRUNCATED)
        _, _, flags, _, serial, number, checksum, segments = OGG_HEAD.unpack(head)
        table = file.read(segments)
        content = file.read(sum(table))
        if len(table) < segments or len(content) < sum(table):
            raise UnreadableAudio(TRUNCATED)
        if ogg_checksum(head[:22] + bytes(4) + head[26:] + table + content) != checksum:
            raise UnreadableAudio(f"{DAMAGED}: the checksum of a page is wrong")
        if number != last.get(serial, number - 1) + 1 and not flags & BEGINS:
            raise UnreadableAudio(f"{DAMAGED}: a page is missing")
        last[serial] = number
        streams += bool(flags & BEGINS) and content.startswith(AUDIO_BEGINS)
        if streams > 1:
            raise UnreadableAudio(SEVERAL)
        at += len(head) + len(table) + len(content)


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of a page whose own is zero: zlib's, with the bits of each byte the other way round."""
    register = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(register.to_bytes(4, "little").translate(REVERSED), "big")


MP3_HEAD = 48
"""Bytes of a frame that are looked at: its head, and where a table of the recording lies in the first one."""
SEARCHED = 2**16
"""Bytes in which a frame is looked for."""
IN_A_ROW = 3
"""Frames that follow one another, so that they are frames and not bytes that look like one."""
SAME = 0xFFFE0C00
"""Bits of a head that are the same in all frames of a recording: version, layer and rate."""
TABLES = (b"Xing", b"Info", b"VBRI")
TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What stands behind the last frame of a whole MP3, or before the first."""

MPEG1, MPEG2, MPEG25 = 3, 2, 0
RATES = {MPEG1: (44100, 48000, 32000), MPEG2: (22050, 24000, 16000), MPEG25: (11025, 12000, 8000)}
"""Hertz."""
LAYER1, LAYER2, LAYER3 = 3, 2, 1
KBITS = {
    (True, LAYER1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, LAYER2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, LAYER3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, LAYER1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, LAYER2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, LAYER3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By whether it is MPEG 1, and layer."""


def first_frame(file: BinaryIO, at: int) -> int:
    """Return where the frames of an MP3 begin, or -1; a few bytes before them are skipped."""
    file.seek(at)
    place = next_frame(file.read(SEARCHED))
    return at + place if place >= 0 else -1


def mp3(file: BinaryIO, at: int, length: int) -> Pieces:
    """Walk over the frames of an MP3, from the first.

    Returns:
        Its frames, without what follows the last one. Where the first has no table of the recording, one that has is
        put before it: without one, libmpg123 guesses the length from the size of the first frame, and libsndfile stops
        there.

    Raises:
        UnreadableAudio: a frame is cut, or the table of the first one has another number of them.
    """
    begin, first = at, head_at(file, at)
    same, frames, promised = word(first) & SAME, 0, None
    while (head := head_at(file, at)) and is_frame(head, same):
        table = table_at(head)
        if table and at > begin:
            raise UnreadableAudio(SEVERAL)
        if table and head[table : table + 4] != b"VBRI" and word(head[table + 4 :]) & 1:
            promised = word(head[table + 8 :])
        frames += not table
        at += frame_size(head)
    if at > length:
        raise UnreadableAudio(TRUNCATED)
    file.seek(at)
    rest = file.read(SEARCHED)
    if next_frame(rest, same) >= 0:
        raise UnreadableAudio(SEVERAL if rest.startswith(TAGS) else f"{DAMAGED}: bytes that are no frame lie in it")
    if promised is not None and frames < promised:
        raise UnreadableAudio(TRUNCATED)
    if promised is not None and frames > promised + 1:
        raise UnreadableAudio(SEVERAL)
    whole = range(begin, at)
    return [whole] if promised is not None or layer_of(first) != LAYER3 else [table_frame(first, frames), whole]


def table_frame(head: bytes, frames: int) -> bytes:
    """Return a silent frame of layer III that holds the number of following frames, of the form of another frame."""
    content = struct.pack(">4sII", b"Xing", 1, frames)
    for kbits in range(1, 15):
        begin = (word(head) & 0xFFFF0DFF | 0x10000 | kbits << 12).to_bytes(4, "big")
        table = begin.ljust(4 + side_information(begin), b"\0") + content
        if frame_size(begin) >= len(table):
            return table.ljust(frame_size(begin), b"\0")
    raise AssertionError("the largest frame of any form holds the table")


def head_at(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.read(MP3_HEAD)


def word(content: bytes) -> int:
    return int.from_bytes(content[:4], "big")


def is_frame(content: bytes, same: int | None = None) -> bool:
    """Return whether a frame begins there, one of the recording that has `same` in the head of each."""
    return frame_size(content) > 0 and same in (None, word(content) & SAME)


def frame_size(content: bytes) -> int:
    """Bytes of the frame that begins there; 0 where none does."""
    head = word(content)
    version, layer, kbits, rate = (head >> 19) & 3, (head >> 17) & 3, (head >> 12) & 15, (head >> 10) & 3
    if len(content) < 4 or head >> 21 != 0x7FF or version == 1 or layer == 0 or kbits in (0, 15) or rate == 3:
        return 0
    padding = (head >> 9) & 1
    bits, hertz = 1000 * KBITS[version == MPEG1, layer][kbits - 1], RATES[version][rate]
    if layer == LAYER1:
        return (12 * bits // hertz + padding) * 4
    return (144 if layer == LAYER2 or version == MPEG1 else 72) * bits // hertz + padding


def table_at(head: bytes) -> int:
    """Return where the table of a recording lies in its first frame, which has no sound then; 0 where there is none."""
    places = (4 + side_information(head), 36)
    return next((place for place in places if head[place : place + 4] in TABLES), 0)


def side_information(head: bytes) -> int:
    """Bytes between the head of a frame of layer III and its table, or its sound."""
    mono, mpeg1 = (word(head) >> 6) & 3 == 3, (word(head) >> 19) & 3 == MPEG1
    return (17 if mono else 32) if mpeg1 else (9 if mono else 17)


def layer_of(head: bytes) -> int:
    return (word(head) >> 17) & 3


def next_frame(content: bytes, same: int | None = None) -> int:
    """First place from which frames follow one another, to the end of the bytes or `IN_A_ROW` of them; -1: none."""
    place = content.find(b"\xff")
    while place >= 0:
        if is_row(content, place, same):
            return place
        place = content.find(b"\xff", place + 1)
    return -1


def is_row(content: bytes, at: int, same: int | None) -> bool:
    for _ in range(IN_A_ROW):
        head = content[at : at + 4]
        if not is_frame(head, same):
            return False
        same = word(head) & SAME
        at += frame_size(head)
        if at >= len(content):
            break
    return True
