"""The code that computes attention while a run trains."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedModel

from ser.config import Attention


@contextmanager
def attending(classifier: PreTrainedModel, attention: Attention, bf16: bool) -> Iterator[None]:
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
    classifier.set_attn_implementation(chosen)
    try:
        yield
    finally:
        classifier.set_attn_implementation(before)
