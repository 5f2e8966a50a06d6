"""The code that computes attention while a run trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

MASKED_SDPA = "scaled_dot_product_masked"
"""The `sdpa` of transformers with its mask always passed on.

transformers drops a mask that is true everywhere, and waits for the device to find out."""


def padding_mask(*args: Any, **kwargs: Any) -> Any:
    """Return the mask `(batch, 1, time, time)` of transformers, or None where the encoder gets none."""
    if kwargs["attention_mask"] is None:
        return None
    return sdpa_mask(*args, **{**kwargs, "allow_is_bidirectional_skip": False})


AttentionInterface.register(MASKED_SDPA, sdpa_attention_forward)
AttentionMaskInterface.register(MASKED_SDPA, padding_mask)


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
