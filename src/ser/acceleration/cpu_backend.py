"""Float32 matrix products on a CPU by the faster of two libraries, where it is as exact as the other."""

import os
from typing import Any

import torch

MAX_ERROR = 1e-5
"""Largest error of a product, relative to its largest value, that counts as float32's; that is about 1e-6."""

SWITCH: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
ONEDNN = "bf16"
"""The precision at which PyTorch asks oneDNN; it need not be what oneDNN computes in."""

CACHE_LIMITS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}
"""Settings of oneDNN and of PyTorch's own layer above it."""


def limit_onednn_cache() -> None:
    """Limit oneDNN's primitive cache. Call before the first forward pass; values set by the user are kept.

    Each of the two caches keeps code and buffers for 1024 shapes: predictions of 300 lengths by Moonshine-tiny take
    0.58 GB, and with 64 shapes 0.17 GB in the same time (float32, one EPYC core, torch 2.14, 2026-11-23).
    """
    for name, number in CACHE_LIMITS.items():
        os.environ.setdefault(name, number)


def enable_onednn_fp32_matmul() -> bool:
    """Let oneDNN compute float32 matrix products on a CPU, if it does so in float32.

    PyTorch asks MKL by default, which takes twice as long on an AMD EPYC (116 against 264 GFLOP/s a core, torch 2.14,
    2026-11-22). The switch that sends them to oneDNN permits bfloat16 inside, and a processor with instructions for it
    may use it. So one product is tried, and the switch is taken back if its error is larger than float32's.

    Returns:
        Whether oneDNN computes from now on.
    """
    before = SWITCH.fp32_precision
    SWITCH.fp32_precision = ONEDNN
    if matmul_error() <= MAX_ERROR:
        return True
    SWITCH.fp32_precision = before
    return False


def onednn_computes_fp32_matmul() -> bool:
    """Return whether oneDNN computes matrix products, `enable_onednn_fp32_matmul` having asked it to."""
    return bool(SWITCH.fp32_precision == ONEDNN)


def matmul_error() -> float:
    """Return the largest error of a linear map of an encoder's size, relative to its largest value."""
    generator = torch.Generator().manual_seed(0)
    clips, weights = (torch.randn(rows, 768, generator=generator) for rows in (256, 768))
    exact = clips.double() @ weights.double().T
    error = (torch.nn.functional.linear(clips, weights) - exact).abs().max() / exact.abs().max()
    return float(error)
