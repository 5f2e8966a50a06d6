"""Float32 matrix products on a CPU by the faster of two libraries, where it is as exact as the other."""

import os
from typing import Any

import torch

MAX_ERROR = 1e-5
"""Largest error, of the largest value, of a product that still counts as float32's: its own is about 1e-6."""

CACHE_LIMITS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}
"""Settings of oneDNN and of PyTorch's own layer above it."""


def limit_onednn_cache() -> None:
    """Let what oneDNN makes for one length of clip go again, before anything is computed; the user's number stays.

    Each of the two keeps code and buffers for 1024 shapes, and recordings that anybody made have more lengths than
    that: 300 lengths answered by Moonshine-tiny take 0.58 GB so and 0.17 GB with 64, in the same time (float32, one
    EPYC core, torch 2.14, 2026-11-23).
    """
    for name, number in CACHE_LIMITS.items():
        os.environ.setdefault(name, number)


def enable_onednn_fp32_matmul() -> bool:
    """Let oneDNN compute float32 matrix products on a CPU, if what it computes is float32.

    PyTorch asks MKL by default, which takes twice as long on an AMD EPYC (116 against 264 GFLOP/s a core, torch 2.14,
    2026-11-22). The switch that sends them to oneDNN permits bfloat16 inside; processors with instructions for that may
    use it, and answers would no longer be those of anybody else. So one product is tried, and the switch taken back
    if its error is larger than float32's.

    Returns:
        Whether oneDNN computes from now on.
    """
    switch: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    if matmul_error() <= MAX_ERROR:
        return True
    switch.fp32_precision = before
    return False


def matmul_error() -> float:
    """The largest error of a linear map of the size that encoders have, of its largest value."""
    generator = torch.Generator().manual_seed(0)
    clips, weights = (torch.randn(rows, 768, generator=generator) for rows in (256, 768))
    exact = clips.double() @ weights.double().T
    error = (torch.nn.functional.linear(clips, weights) - exact).abs().max() / exact.abs().max()
    return float(error)
