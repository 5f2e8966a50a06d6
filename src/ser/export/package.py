"""The files beside an exported model: how to use it, and an example that needs neither `ser` nor PyTorch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ser.data.audio import SAMPLE_RATE
from ser.data.batches import MINIMUM
from ser.data.model_inputs import __file__ as INPUTS
from ser.data.silence import __file__ as TRIM
from ser.export.onnx import input_name
from ser.files import write_json
from ser.models.architectures import depends_on_padding, find_architecture
from ser.models.checkpoint import Checkpoint

FILE = "ser.json"
EXAMPLE = Path(__file__).with_name("predict.py")


def describe_model(model: Checkpoint, trim: bool, file: str) -> dict[str, Any]:
    """Return the preprocessing of a clip, the inputs and outputs of the model, and its labels.

    The inputs are `input`, float32, and `attention_mask`, int64 `(batch, time)`: 1 for the clip, 0 for padding on the
    right. The output is `logits` `(batch, emotions)`; `activation` turns them into probabilities.
    """
    return {
        "model": file,
        "labels": model.labels,
        "activation": model.outputs.activation,
        "sample_rate": SAMPLE_RATE,
        "input": input_name(model.classifier),
        "prepare": find_architecture(model.classifier.config).preprocessing,
        "do_normalize": bool(getattr(model.extractor, "do_normalize", False)),
        "trim": trim,
        "shortest": MINIMUM,
        "batches": "clips of one length" if depends_on_padding(model.classifier.config) else "clips of any lengths",
        "trained_on": model.stamp,
    }


def write_package(folder: Path, model: Checkpoint, trim: bool, file: str) -> None:
    """Write the description and the example, with the files that it reads."""
    write_json(folder / FILE, describe_model(model, trim, file))
    shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)
    shutil.copyfile(TRIM, folder / "trim.py")
    shutil.copyfile(INPUTS, folder / "model_inputs.py")
    if find_architecture(model.classifier.config).takes_features:
        np.save(folder / "mel_filters.npy", model.extractor.mel_filters)
