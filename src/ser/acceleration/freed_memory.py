"""Keep the memory that a training step frees for the next step, in place of giving it back to the system."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt`, as glibc's malloc.h numbers them."""
NEVER = -1
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""The largest one that glibc takes: larger blocks are always mapped anew. Its own threshold grows to this one, too."""
SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Environment variables by which a user sets the same."""


@contextmanager
def keep_freed_memory(device: torch.device) -> Iterator[None]:
    """Have glibc keep freed memory inside the context, on a CPU; afterwards the process gives back what it can.

    A step frees its gradients and activations, and by default glibc gives more than 64 MB of them back. The next step
    gets them page by page again, each cleared by the kernel, which takes 8 % of a step of wav2vec2-base and 15 %
    of one of HuBERT-large (scripts/README.md). Nothing is done without glibc, or where the user has set its thresholds.
    """
    library = ctypes.CDLL(None) if os.name == "posix" else None
    set_parameter, trim = getattr(library, "mallopt", None), getattr(library, "malloc_trim", None)
    if device.type != "cpu" or set_parameter is None or trim is None or any(name in os.environ for name in SETTINGS):
        yield
        return
    set_parameter(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    set_parameter(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        set_parameter(TRIM_THRESHOLD, 2 * LARGEST_MMAP_THRESHOLD)  # what glibc's own grows to
        trim(0)
