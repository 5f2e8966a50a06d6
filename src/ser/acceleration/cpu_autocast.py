"""Autocast to bfloat16 on a CPU around several forward passes."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def cpu_autocast(bf16: bool, device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 inside the context, if that is wanted; on a GPU nothing changes.

    Autocast casts all weights of a model, and forgets them where its outermost context ends. Around the passes of an
    evaluation they are cast once. Weights must not change inside.
    """
    return torch.autocast("cpu", torch.bfloat16) if bf16 and device.type == "cpu" else nullcontext()
