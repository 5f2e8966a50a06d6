"""What a program must know to use an exported model, and an example that does: it needs neither `ser` nor torch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ser.data.audio import SAMPLE_RATE
from ser.data.dataset import MINIMUM
from ser.data.silence import __file__ as TRIM
from ser.export.onnx import input_name
from ser.files import write_json
from ser.models.architectures import depends_on_padding, find_architecture
from ser.models.checkpoint import Checkpoint

FILE = "ser.json"
EXAMPLE = Path(__file__).with_name("predict.py")


def contract(model: Checkpoint, trim: bool, file: str) -> dict[str, Any]:
    """What a caller of the model must do to a clip, and what the answers are called.

    Inputs are `input` float32 and `attention_mask` int64 `(batch, time)`, 1 for what belongs to a clip, 0 for padding
    on the right; `logits` `(batch, emotions)` come out, and `activation` makes probabilities of them.
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


def write(folder: Path, model: Checkpoint, trim: bool, file: str) -> None:
    """Write the contract and the example, with what it imports and reads."""
    write_json(folder / FILE, contract(model, trim, file))
    shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)
    shutil.copyfile(TRIM, folder / "trim.py")
    if find_architecture(model.classifier.config).takes_features:
        np.save(folder / "mel_filters.npy", model.extractor.mel_filters)
