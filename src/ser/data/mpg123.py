"""Keep libmpg123, which libsndfile decodes MP3 with, from writing to the terminal."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

OWN = (b"Note: ", b"Warning: ", b"[src/libmpg123/", b"\n")
"""How its lines begin."""
STDERR = 2
one_at_a_time = Lock()


@contextmanager
def silence_mpg123() -> Iterator[None]:
    """Keep the lines of libmpg123 from the terminal; what others write there meanwhile appears at the end.

    There is no other way: libsndfile does not pass on the option that silences it, and standard error is one for all
    threads. So it is kept short, and for one thread at a time.
    """
    with one_at_a_time, tempfile.TemporaryFile() as written:
        try:
            terminal = os.dup(STDERR)
        except OSError:  # it is closed: nothing can be written there
            yield
            return
        os.dup2(written.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(terminal, STDERR)
            os.close(terminal)
            written.seek(0)
            if others := b"".join(line for line in written if not line.startswith(OWN)):
                os.write(STDERR, others)
