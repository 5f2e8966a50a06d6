"""The code that computes attention while a run trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ser.config import Attention

MASKED_SDPA = "scaled_dot_product_masked"
"""The library's `sdpa`, always given its mask: otherwise it asks the device, and waits, whether all of a batch is true.

Not all of one is where clips differ in length, so nearly always the mask is given anyway."""


def padding_mask(*args: Any, **kwargs: Any) -> Any:
    """The library's mask `(batch, 1, time, time)`, or none where the encoder was given none."""
    if kwargs["attention_mask"] is None:
        return None
    return sdpa_mask(*args, **{**kwargs, "allow_is_bidirectional_skip": False})


AttentionInterface.register(MASKED_SDPA, sdpa_attention_forward)
AttentionMaskInterface.register(MASKED_SDPA, padding_mask)


@contextmanager
def use_attention(classifier: PreTrainedModel, attention: Attention, bf16: bool) -> Iterator[None]:
    """Train with the code that is asked for; afterwards the library's own choice is back, with which others score.

    In bfloat16 on a CPU (wav2vec2-base, 8 clips of 3.7 s, two EPYC cores, torch 2.14, 2026-11-22) a step takes 1.83 s
    with the plain code and 2.01 s with PyTorch's, which draws its dropout slowly there.
    """
    before = classifier.config._attn_implementation
    on_cpu = classifier.device.type == "cpu"
    automatic = "eager" if on_cpu and bf16 else before
    chosen = automatic if attention is Attention.auto else attention.value
    if chosen == "sdpa" and not classifier._supports_sdpa:
        chosen = before  # WavLM has nothing else than its own code
    if chosen == "sdpa" and not on_cpu:
        chosen = MASKED_SDPA
    classifier.set_attn_implementation(chosen)
    try:
        yield
    finally:
        classifier.set_attn_implementation(before)
