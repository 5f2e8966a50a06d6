"""ONNX files: write one from a classifier, quantize it, run it."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from ser.errors import UserError
from ser.models.architectures import find_architecture
from ser.models.arrays import Logits
from ser.models.forward import Batch

OPSET = 18
"""Version of ONNX's operators that PyTorch writes without converting afterwards, in every release since 2.9."""
QUANTIZED_OPERATORS = ("MatMul", "Gemm")
"""Never convolutions: with them wav2vec2-base is slower than in float32 (568 against 325 ms for 3.7 s, one thread)."""


class LogitsModule(nn.Module):
    """A classifier as a function of two tensors."""

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, inputs: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, emotions)`."""
        name = input_name(self.classifier)
        logits: torch.Tensor = self.classifier(attention_mask=attention_mask, **{name: inputs}).logits
        return logits


def input_name(classifier: PreTrainedModel) -> str:
    return "input_features" if find_architecture(classifier.config).takes_features else "input_values"


def write_model(classifier: PreTrainedModel, example: Batch, path: Path) -> None:
    """Write a classifier as an ONNX model for batches of any size and length.

    The mask is an input for every architecture: where the encoder takes none, it gives the lengths to pool over and
    separates a clip shorter than one frame from its padding. Weights of more than 2 GB go to a file beside the model,
    since ONNX is a protocol buffer.

    Args:
        classifier: on the CPU.
        example: a batch of a collator, of at least two clips: an axis of length one would become a constant.
        path: of the file.

    Raises:
        UserError: PyTorch cannot export the encoder.
    """
    name = input_name(classifier)
    # Copies: of a view, such as a collator's, torch 2.9 would export what it is a view of as well.
    inputs, mask = example[name].clone(), example["attention_mask"].clone()
    time = find_architecture(classifier.config).time_axis
    axes = ({0: "batch", time: "time"}, {0: "batch", 1: "time"})
    try:
        with quiet_exporter(), eager_attention(classifier):
            program = torch.onnx.export(
                LogitsModule(classifier).eval(),  # or dropout is traced, whatever the mode of what is inside
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
def eager_attention(classifier: PreTrainedModel) -> Iterator[None]:
    """Use attention by matrix products: with the fused one `torch.export` specialises on lengths."""
    before = classifier.config._attn_implementation
    classifier.set_attn_implementation("eager")
    try:
        yield
    finally:
        classifier.set_attn_implementation(before)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the exporter's remarks, such as that torchvision is not installed."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def quantize(source: Path, target: Path) -> None:
    """Store the weights of matrix products in int8, a scale for each column; activations get theirs at run time."""
    from onnxruntime.quantization import quantize_dynamic  # of the extra `export`

    with quiet_exporter():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(QUANTIZED_OPERATORS),
            per_channel=True,
            use_external_data_format=source.with_name(f"{source.name}.data").is_file(),
        )


class Session:
    """An ONNX model on the CPU, with the number of threads of PyTorch."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # of the extra `export`

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def logits(self, batches: Iterable[Batch]) -> Logits:
        """Return the logits of batches, one after the other."""
        outputs = [
            self._session.run(None, {name: batch[name].numpy() for name in self._inputs})[0] for batch in batches
        ]
        return np.concatenate(outputs)
