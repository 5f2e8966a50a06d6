"""Names of the files of checkpoints and of exported models, and where they lie."""

import os
from pathlib import Path

CONFIG, WEIGHTS = "config.json", "model.safetensors"
TEXTS = (CONFIG, "preprocessor_config.json", "processor_config.json")
SAFE = (WEIGHTS, "model.safetensors.index.json", "model-*.safetensors")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")
"""Fetched only where there are no safetensors, and read as tensors or not at all: `weights_only`."""
EXPORTED = "ser.json"
"""The description in the folder of an exported model."""
EXPORT = (EXPORTED, "*.onnx", "*.onnx.data", "mel_filters.npy")
"""Files of an exported model that change its predictions."""


def local_path(given: str) -> Path:
    """Return a path that was typed; `~` stands for a home folder where there is one."""
    return Path(os.path.expanduser(given))  # that of pathlib raises where the user is not known
