"""An encoder compiled as one graph for each of a few fixed lengths, to which the batches of training are padded.

On a GPU the layers of a large encoder are some two thousand small kernels a step, and a fast one computes them sooner
than Python orders them; a compiled graph orders fewer. On a CPU there is nothing to gain: a step of wav2vec2-base takes
1.09 times as long in float32 and 1.33 times in bfloat16 (inductor, torch 2.13).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from packaging.version import Version
from torch.nn.functional import pad
from transformers import PreTrainedModel
from transformers import __version__ as installed

from ser.data.audio import SAMPLE_RATE
from ser.data.batches import MINIMUM, Numbers
from ser.errors import UserError
from ser.models.architectures import depends_on_padding, find_architecture

log = logging.getLogger("ser")

Batch = dict[str, torch.Tensor]

ONE_GRAPH_SINCE = "5.24"
"""Version of transformers; in earlier ones each layer branches on a random tensor, which no graph holds."""
STEP = SAMPLE_RATE // 4
SHAPES = 8
"""Largest number of lengths, `torch._dynamo.config.recompile_limit`: PyTorch keeps so many graphs of a function."""


def check_compilable(classifier: PreTrainedModel) -> None:
    """Raise a UserError for an encoder that has no graph, or whose predictions depend on padding.

    Raises:
        UserError: with what to give instead, where there is something.
    """
    config = classifier.config
    if find_architecture(config).takes_features:
        raise UserError(f"trainer.compile=true: {config.model_type} takes features; choices: false")
    if depends_on_padding(config):
        raise UserError("trainer.compile=true: the predictions of this encoder depend on padding; choices: false")
    if config.layerdrop > 0:
        raise UserError(
            f"trainer.compile=true: model.encoder_config.layerdrop={config.layerdrop} leaves out other layers in every "
            "step; give model.encoder_config.layerdrop=0"
        )
    if Version(installed) < Version(ONE_GRAPH_SINCE):
        raise UserError(
            f"trainer.compile=true: the encoders of transformers {installed} form no graph; install "
            f"transformers {ONE_GRAPH_SINCE} or later, or leave trainer.compile=false"
        )


def step_between_lengths(lengths: Sequence[int] | Numbers) -> int:
    """Return the step between fixed lengths, in samples: a multiple of 0.25 s that gives at most `SHAPES` lengths."""
    step = STEP
    different = np.unique(lengths).tolist()
    while len({round_up(length, step) for length in different}) > SHAPES:
        step += STEP
    return step


def round_up(length: int, step: int) -> int:
    """Return the shortest multiple of `step` that a clip of `length` samples fits into."""
    return -(-max(length, MINIMUM) // step) * step


def pad_to_fixed_length(
    batch: dict[str, torch.Tensor], step: int, frames: Callable[..., torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Pad a batch to the next fixed length.

    Args:
        batch: `input_values` `(batch, samples)`, or `(batch, channels, frames)` of the CNN, and the mask of samples.
        step: samples from one fixed length to the next.
        frames: returns the number of frames of the CNN's output for a number of samples.
    """
    mask, values = batch["attention_mask"], batch["input_values"]
    samples = round_up(mask.shape[1], step)
    wanted = samples if values.dim() == 2 else int(frames(torch.tensor(samples)))
    return {
        **batch,
        "input_values": pad(values, (0, wanted - values.shape[-1])),
        "attention_mask": pad(mask, (0, samples - mask.shape[1])),
    }


def compiled_or_plain(
    encoder: Any, fast: Any, batch_size: int, hidden_states: torch.Tensor, *args: Any, **kwargs: Any
) -> Any:
    """Run the compiled graph for whole batches of training, the plain code for anything else."""
    if encoder.training and len(hidden_states) == batch_size:
        return fast(hidden_states, *args, **kwargs)
    return type(encoder).forward(encoder, hidden_states, *args, **kwargs)


@contextmanager
def compile_encoder(classifier: PreTrainedModel, batch_size: int, backend: Any) -> Iterator[None]:
    """Compute whole batches of training by compiled graphs, anything else as before: the layers, without the CNN.

    The last batch of an epoch, which may be smaller, and evaluation, whose batches have any length, would each want
    graphs of their own.
    """
    if classifier.device.type == "cpu":
        log.info("trainer.compile: on a CPU compiled graphs are slower than the plain code")
    encoder: Any = classifier.base_model.encoder
    fast = torch.compile(encoder.forward, fullgraph=True, dynamic=False, backend=backend)
    # A partial rather than a closure: a deep copy of the encoder then calls itself.
    encoder.forward = partial(compiled_or_plain, encoder, fast, batch_size)
    try:
        yield
    finally:
        del encoder.forward
        torch.compiler.reset()  # the graphs are kept by the class: the next fold's would be too many
