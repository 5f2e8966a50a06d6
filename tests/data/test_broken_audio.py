"""A collection of broken recordings: each is decoded as a whole or refused with a reason, in little time and memory."""

import random
import resource
import struct

import numpy as np
import pytest
from conftest import tone
from helpers.encoded_audio import KINDS, encoded

from ser.data import audio
from ser.data.containers import UnreadableAudio

COPIES = 100
"""Of each container: 1300 broken files."""
NUMBERS = [b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x80\0\0\0"]
"""What a header must not be believed."""
MEMORY = 64 * 2**10
"""Kilobytes that decoding all of them may add to the process."""


def flipped(content, at, chance):
    content[at] ^= 1 << chance.randrange(8)


def lying(content, at, chance):
    content[at : at + 4] = chance.choice([*NUMBERS, chance.randbytes(4)])


def cut(content, at, chance):
    del content[at:]


def grown(content, at, chance):
    content[at:at] = chance.randbytes(chance.randint(1, 9))


def shrunk(content, at, chance):
    del content[at : at + chance.randint(1, 9)]


def doubled(content, at, chance):
    content[at:at] = bytes(content)


def broken(whole, chance):
    """A copy with one to four faults, most of them in its header."""
    content = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        fault = chance.choices([flipped, lying, cut, grown, shrunk, doubled], [4, 4, 2, 2, 2, 1])[0]
        fault(content, chance.randrange(min(80, len(content)) if chance.random() < 0.6 else len(content)), chance)
        if not content:
            break
    return bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_is_decoded_or_refused_with_a_reason(kind, tmp_path, capfd):
    whole, chance, reasons = encoded(kind, tone(0.3)), random.Random(kind), []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(COPIES):
        content = broken(whole, chance)
        (tmp_path / "broken").write_bytes(content)
        try:
            samples = audio.load_short(content if chance.random() < 0.5 else tmp_path / "broken", 30.0)
            assert samples.dtype == np.int16
            assert 400 <= len(samples) <= 30 * 16000
        except UnreadableAudio as error:
            reasons.append(str(error))
    assert len(reasons) > COPIES / 4
    assert all(len(reason) > 10 and "\n" not in reason for reason in reasons)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert capfd.readouterr() == ("", "")


def wav(rate=16000, channels=1, tag=1, bits=16, content=b"\1\0" * 4000, size=None):
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    size = len(content) if size is None else size
    head = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVE" + head + content


def floats(*values):
    return wav(tag=3, bits=32, content=np.array(values * 1000, "<f4").tobytes())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (wav(rate=0), "impossible|damaged"),
        (wav(rate=1), "impossible"),
        (wav(rate=0xFFFFFFFF), "impossible|damaged"),
        (wav(rate=2**31 - 1), "impossible"),
        (wav(channels=0), "damaged"),
        (wav(channels=65535), "damaged|no samples"),
        (wav(bits=0), "damaged"),
        (wav(tag=0xABCD), "damaged"),
        (wav(size=8004), "truncated"),
        (wav(size=1_500_000_004), "truncated"),
        (wav(content=b""), "no samples"),
        (wav(content=b"\1"), "no samples"),
        (floats(0.1, np.nan), "NaN or infinite"),
        (floats(0.1, np.inf), "NaN or infinite"),
        (floats(0.1, -np.inf), "NaN or infinite"),
        (floats(0.1, 3.4e38), "full scale is 1.0"),
        (floats(0.1, 2.5), "full scale is 1.0"),
        (floats(0.0, 12000.0, -32768.0), "reach 32768.*divide them by 32768"),
        (b"RIFF" * 10_000, "no WAV"),
        (b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(1000), "no WAV"),
        (b"ID3\4\0\0\0\0\0\0" * 10_000, "no WAV"),
        (b"\xff" * 100_000, "no WAV"),
        (b"\xff\xf3\x88\xc4" * 20_000, "no WAV|truncated"),
        (b"OggS" * 10_000, "checksum|truncated|page"),
        (b"RIFF\0\0\0\0WAVE" + b"\0" * 200_000, "damaged"),
        (b"caff\0\1\0\0" + b"free" + b"\xff" * 8, "damaged"),
        (b"riff" + bytes(36) + bytes(24), "damaged"),
        (b"NIST_1A\n   1024\n" + b"sample_count -i -5\n" + bytes(2000), "damaged"),
        (
            b"NIST_1A\n  -1024\n" + b"sample_count -i 5\nchannel_count -i 1\nsample_n_bytes -i 2\n" + bytes(2000),
            "damaged",
        ),
        (b".snd\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(20), "damaged|truncated"),
    ],
)
def test_a_header_that_lies_is_refused(content, reason):
    with pytest.raises(UnreadableAudio, match=reason):
        audio.load_short(content, 30.0)
