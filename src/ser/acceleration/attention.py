"""The code that computes attention."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ser.acceleration.cpu_backend import onednn_computes_fp32_matmul

MASKED_SDPA = "scaled_dot_product_masked"
"""The `sdpa` of transformers with its mask always passed on.

transformers drops a mask that is true everywhere, and waits for the device to find out."""


BLOCKED = "scaled_dot_product_in_blocks"
"""`attend_in_blocks`."""
BLOCK = 2**20
"""Scores of a block of queries, in all clips and heads: 4 MB, which stay in a processor's cache."""
LONGEST = 1024
"""Frames up to which blocks are faster than PyTorch's own code: 20 to 25 s of speech."""


def attend_in_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute `softmax(scaling query key^T) value` for some queries at a time; for prediction on a CPU.

    PyTorch's own code for a CPU asks MKL for its matrix products, which takes twice as long as oneDNN on an AMD EPYC
    (see `enable_onednn_fp32_matmul`): a clip of RAVDESS by Moonshine-tiny takes 20 ms with it and 17 ms with blocks, of
    20 s 148 and 124 ms, of 60 s 643 and 749 ms (float32, one EPYC core, torch 2.14, 2026-11-28).

    Args:
        module: The attention; PyTorch's code needs it.
        query: `(batch, heads, frames, size)`.
        key: As `query`. With fewer heads PyTorch's code computes, as it does for more than `LONGEST` frames, for
            gradients and where MKL computes anyway.
        value: As `key`.
        attention_mask: `(batch, 1, frames, frames)`, true where a query attends to a key; None: everywhere.
        scaling: By default `size ** -0.5`.
        **kwargs: For PyTorch's code.

    Returns:
        `(batch, frames, heads, size)`, and no weights.
    """
    frames, size = query.shape[-2:]
    suits = key.shape == query.shape and frames <= LONGEST and not torch.is_grad_enabled()
    is_boolean = attention_mask is None or attention_mask.dtype == torch.bool  # an encoder may make a mask of its own
    if not (suits and is_boolean and onednn_computes_fp32_matmul()):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    keys = (key * (size**-0.5 if scaling is None else scaling)).transpose(2, 3)
    rows = max(1, BLOCK // query[..., 0].numel())
    outputs = []
    for start in range(0, frames, rows):
        scores = query[:, :, start : start + rows] @ keys
        if attention_mask is not None:
            scores.masked_fill_(~attention_mask[:, :, start : start + rows], -torch.inf)
        outputs.append(scores.softmax(dim=-1) @ value)
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def padding_mask(*args: Any, **kwargs: Any) -> Any:
    """Return the mask `(batch, 1, time, time)` of transformers, or None where the encoder gets none."""
    if kwargs["attention_mask"] is None:
        return None
    return sdpa_mask(*args, **{**kwargs, "allow_is_bidirectional_skip": False})


AttentionInterface.register(MASKED_SDPA, sdpa_attention_forward)
AttentionMaskInterface.register(MASKED_SDPA, padding_mask)
AttentionInterface.register(BLOCKED, attend_in_blocks)
AttentionMaskInterface.register(BLOCKED, sdpa_mask)


def use_blocks(classifier: PreTrainedModel) -> None:
    """Let a classifier that predicts on a CPU compute its attention in blocks, where it would by PyTorch's own code."""
    if classifier.config._attn_implementation == "sdpa":  # WavLM has nothing else than its own code
        classifier.set_attn_implementation(BLOCKED)


@contextmanager
def use_attention(classifier: PreTrainedModel, bf16: bool) -> Iterator[None]:
    """Train with the faster code for the device; afterwards the choice of transformers is back, as scoring has it.

    In bfloat16 on a CPU that is the plain code: a step of wav2vec2-base takes 1.83 s with it and 2.01 s with PyTorch's
    own, which draws its dropout slowly there (8 clips of 3.7 s, two EPYC cores, torch 2.14, 2026-11-22).
    """
    before = classifier.config._attn_implementation
    if classifier.device.type == "cpu":
        chosen = "eager" if bf16 else before
    else:
        chosen = MASKED_SDPA if before == "sdpa" else before  # WavLM has nothing else than its own code
    classifier.set_attn_implementation(chosen)
    try:
        yield
    finally:
        classifier.set_attn_implementation(before)
