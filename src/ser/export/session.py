"""An ONNX file, answering like a classifier."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from ser.models.forward import Batch, Logits


class Session:
    """An ONNX model on the CPU, with as many threads as torch has."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # of the extra `export`

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def logits(self, batches: Iterable[Batch]) -> Logits:
        """The logits of batches, one after the other."""
        outputs = [
            self._session.run(None, {name: batch[name].numpy() for name in self._inputs})[0] for batch in batches
        ]
        return np.concatenate(outputs)
