import ctypes
import os
import subprocess
import sys

import pytest
import torch

from ser.acceleration.freed_memory import SETTINGS, keep_freed_memory

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc"
)

STEPS = """
import resource
from pathlib import Path
import torch
from ser.acceleration.freed_memory import keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

def step():
    kept = [torch.ones(2 << 20) for _ in range(16)]  # 16 blocks of 8 MiB, freed together

before = resident()
with keep_freed_memory(torch.device("cpu")):
    for _ in range(5):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
print(resident() - before)
"""
PAGES = 128 * 2**20 // 4096
"""Of the blocks of one step."""


def count_pages(**variables: str) -> tuple[int, int]:
    """Return the page faults of five steps, and the pages that are more afterwards than before."""
    environment = {name: text for name, text in os.environ.items() if name not in SETTINGS} | variables
    words = [sys.executable, "-c", STEPS]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    faults, more = map(int, done.stdout.split())
    return faults, more


def test_memory_freed_by_a_step_is_used_by_the_next_and_given_back_at_the_end():
    faults, more = count_pages()
    assert faults < PAGES  # of 5 PAGES, if each step got its memory anew
    assert more < PAGES


def test_thresholds_of_the_user_are_kept():
    faults, _ = count_pages(MALLOC_TRIM_THRESHOLD_="131072")  # which maps each of these blocks anew
    assert faults > 4 * PAGES


def test_an_error_inside_the_context_is_raised_on():
    with pytest.raises(KeyError), keep_freed_memory(torch.device("cpu")):
        raise KeyError
