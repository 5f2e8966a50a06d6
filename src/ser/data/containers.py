"""What the headers of containers say about a file's length, which libsndfile does not compare with the file."""

MAGICS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"dns.", b"caff", b"fLaC", b"OggS", b"NIST")
"""First four bytes of the containers that are read; an MP3 has none."""

LIMITS = (2**31, 2**32)
ROUND = 10**9
NEAR = 4096
"""Bytes: a header, or a block of a disk, that a program takes off the largest size there is."""


def is_placeholder(size: int) -> bool:
    """Whether a 32-bit size means "unknown": what a program writes that cannot go back to fill in the true one.

    Such a size says nothing about the recording: it is the largest of a signed or an unsigned number, less a header or
    a block, or a round number.

    >>> [is_placeholder(size) for size in (0xFFFFFFFF, 0x7FFFF000, 0x80000000, 2_000_000_000, 1_999_999_988)]
    [True, True, True, True, False]
    """
    return any(0 <= limit - size <= NEAR for limit in LIMITS) or (size > 0 and size % ROUND == 0)
