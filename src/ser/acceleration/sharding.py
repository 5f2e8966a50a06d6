"""FSDP for encoders of speech: weights, gradients and optimizer spread over the processes, layer by layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accelerate.utils import fsdp_utils  # type: ignore[import-untyped]

from ser.models.architectures import find_layers

FINAL_NORM = "_find_final_norm"
"""What accelerate gathers together with the last layer of a language model. It takes any child of the model with "Norm"
in the name of its class, and so the whole `Wav2Vec2EncoderStableLayerNorm`, whose forward pass then fails: it writes
into its input (accelerate 1.15)."""


@contextmanager
def shard_layers(classifier: Any, sharded: bool) -> Iterator[None]:
    """Let the Trainer spread a classifier layer by layer inside the context, where FSDP is asked for.

    The list of layer classes of transformers lacks some, or names another one; and accelerate asks for an embedding of
    tokens, which an encoder of waveforms has not.
    """
    if not sharded:
        yield
        return
    classifier._no_split_modules = sorted({type(layer).__name__ for layer in find_layers(classifier).children()})
    classifier.get_input_embeddings = lambda: None
    before = getattr(fsdp_utils, FINAL_NORM, None)
    if before is not None:
        setattr(fsdp_utils, FINAL_NORM, lambda model: None)
    try:
        yield
    finally:
        if before is not None:
            setattr(fsdp_utils, FINAL_NORM, before)
