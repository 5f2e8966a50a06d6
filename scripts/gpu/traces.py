"""What a trace of PyTorch's profiler says: time in kernels, gaps between them, waits of the host."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""Calls during which the host does nothing but wait."""
ON_DEVICE = {"cuda": ("kernel", "gpu_memcpy", "gpu_memset"), "cpu": ("cpu_op",)}


class Trace(NamedTuple):
    """Microseconds."""

    span: float
    """From the begin of the first kernel to the end of the last."""
    busy: float
    """With at least one kernel running."""
    waits: Counter[str]
    """Of the host, by call."""
    launches: int
    kernels: Counter[str]
    """Time by name."""


def read(path: Path, device: str) -> Trace:
    """Read a trace in Chrome's format; on the CPU operators stand for kernels."""
    events = [event for event in json.loads(path.read_text())["traceEvents"] if event.get("ph") == "X"]
    work = sorted((event for event in events if event.get("cat") in ON_DEVICE[device]), key=lambda event: event["ts"])
    waits: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "cuda_runtime" and event["name"] in WAITS:
            waits[event["name"]] += event["dur"]
    busy, kernels = covered(work)
    span = max(event["ts"] + event["dur"] for event in work) - work[0]["ts"] if work else 0.0
    return Trace(span, busy, waits, len(work), kernels)


def covered(work: list[dict[str, Any]]) -> tuple[float, Counter[str]]:
    """Time in which any of the sorted events runs, and what each name adds to it: nested ones count once."""
    busy, until = 0.0, 0.0
    kernels: Counter[str] = Counter()
    for event in work:
        begin, end = max(event["ts"], until), event["ts"] + event["dur"]
        if end > begin:
            busy += end - begin
            kernels[event["name"]] += end - begin
            until = end
    return busy, kernels
