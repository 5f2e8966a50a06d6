"""A classifier -> an ONNX file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from ser.errors import UserError
from ser.models.architectures import find_architecture
from ser.models.forward import Batch

OPSET = 18
"""Version of ONNX's operators: what the exporter writes without converting afterwards, in every torch since 2.9."""


class Logits(nn.Module):
    """A classifier as a function of two tensors."""

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, inputs: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits `(batch, emotions)`."""
        name = input_name(self.classifier)
        logits: torch.Tensor = self.classifier(attention_mask=attention_mask, **{name: inputs}).logits
        return logits


def input_name(classifier: PreTrainedModel) -> str:
    return "input_features" if find_architecture(classifier.config).takes_features else "input_values"


def write(classifier: PreTrainedModel, example: Batch, path: Path) -> None:
    """Write a classifier that takes batches of any size and length.

    The mask is an input whatever the family: of the encoders that get none it still gives the lengths to pool over, and
    it tells a clip shorter than one frame from its padding. Weights of more than 2 GB go to a file beside, because ONNX
    is a protocol buffer.

    Args:
        classifier: on the CPU.
        example: a batch of a collator, of at least two clips: an axis of length one would become a constant.
        path: of the file.

    Raises:
        UserError: torch cannot follow the encoder.
    """
    name = input_name(classifier)
    # Copies: of a view, such as a collator's, torch 2.9 would export what it is a view of as well.
    inputs, mask = example[name].clone(), example["attention_mask"].clone()
    time = find_architecture(classifier.config).time_axis
    axes = ({0: "batch", time: "time"}, {0: "batch", 1: "time"})
    try:
        with quietly(), attending_plainly(classifier):
            program = torch.onnx.export(
                Logits(classifier).eval(),  # or dropout is traced, whatever the mode of what is inside
                (inputs, mask),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[name, "attention_mask"],
                output_names=["logits"],
                dynamic_shapes=axes,
            )
    except torch.onnx.OnnxExporterError as error:
        raise UserError(f"{classifier.config.model_type}: torch {torch.__version__} cannot export it") from error
    assert program is not None
    program.save(path)


@contextmanager
def attending_plainly(classifier: PreTrainedModel) -> Iterator[None]:
    """Let attention be matrix products: the fused one makes `torch.export` assume what it cannot know."""
    before = classifier.config._attn_implementation
    classifier.set_attn_implementation("eager")
    try:
        yield
    finally:
        classifier.set_attn_implementation(before)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the exporter's remarks about itself off the terminal: torchvision is not installed, a constant is large."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
