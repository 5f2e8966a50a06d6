"""Garbage collection and the start of a command.

Nothing heavy is imported here: the first import of a command passes through it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_imported() -> Iterator[None]:
    """Collect no garbage inside, where modules are imported, and leave what they made out of later collections.

    PyTorch and transformers make a million objects that stay until the command ends. By default Python looks through
    them again and again while they are made, which is a seventh of the time, and then at each full collection.
    """
    if not gc.isenabled():  # inside another such block, or switched off by the user
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
