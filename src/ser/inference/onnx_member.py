"""Prediction of clips with an exported model, by onnxruntime; PyTorch is not imported."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser.data.audio_file import Int16
from ser.data.batches import restore_order
from ser.data.model_inputs import PREPARE, Array, Preprocessing
from ser.errors import UserError
from ser.extras import check_installed
from ser.inference.member import Member, split_batches
from ser.models.arrays import Embedding, Probabilities
from ser.models.file_names import EXPORTED
from ser.models.outputs import ACTIVATIONS, Outputs

FILTERS = "mel_filters.npy"
NEEDED = ("model", "labels", "activation", "input", "prepare", "do_normalize", "trim", "shortest", "batches")
"""Keys of the description."""
ONE_LENGTH = "clips of one length"


@dataclass(frozen=True)
class OnnxMember(Member):
    """The model in a folder of `ser export`."""

    file: Path
    """The ONNX file."""
    session: Any
    """onnxruntime's."""
    about: dict[str, Any]
    preprocessing: Preprocessing

    @classmethod
    def from_export(cls, given: str, path: Path) -> "OnnxMember":
        """Open the folder of `ser export`, or one of its ONNX files.

        Raises:
            UserError: onnxruntime is not installed, the description is damaged, or the model cannot be read.
        """
        check_installed("export", "onnxruntime", needed_by=f"checkpoint={given}")
        folder = path if path.is_dir() else path.parent
        about = read_description(folder)
        model = folder / about["model"] if path.is_dir() else path
        filters = np.load(folder / FILTERS, allow_pickle=False) if (folder / FILTERS).is_file() else None
        preprocessing = Preprocessing(about["shortest"], about["do_normalize"], filters)
        outputs = Outputs([str(label) for label in about["labels"]], about["activation"])
        session, stamp = open_session(model), dict(about.get("trained_on") or {})
        return cls(given, folder, about["trim"], outputs, stamp, model, session, about, preprocessing)

    def weights_size(self) -> int:
        """Return the bytes of its file, and of the one beside it that has the weights of a large model."""
        return sum(file.stat().st_size for file in self.folder.glob(f"{self.file.name}*"))

    def predict(self, clips: Sequence[Int16], batch_size: int) -> Probabilities:
        """Predict clips; see `Member.predict`."""
        spoken = self.cut_silence(clips)
        # Features of padding are not those of silence, so only waveforms are padded to one length.
        equal = self.about["batches"] == ONE_LENGTH or self.about["prepare"] != "waveform"
        lengths = [len(clip) for clip in spoken]
        order = self.separate_short(spoken, split_batches(lengths, batch_size, equal))
        logits = self.compute_side_by_side(lambda batch: self.run([spoken[index] for index in batch]), order, lengths)
        return restore_order(self.to_probabilities(np.concatenate(logits)), order)

    def separate_short(self, clips: Sequence[Int16], batches: Iterable[list[int]]) -> list[list[int]]:
        """Return the batches with each clip that may be shorter than a frame of the encoder alone.

        Beside longer clips all of its frames would be masked.
        """
        parts = []
        for batch in batches:
            short = [index for index in batch if len(clips[index]) < self.preprocessing.shortest]
            parts += [[index] for index in short] + [[index for index in batch if index not in short]]
        return [batch for batch in parts if batch]

    def run(self, clips: Sequence[Int16]) -> Array:
        """Return the logits of a batch, `(clips, emotions)`."""
        prepared = [PREPARE[self.about["prepare"]](clip, self.preprocessing) for clip in clips]
        inputs, masks = (np.concatenate(list(pad_to_longest(arrays))) for arrays in zip(*prepared, strict=True))
        feed = {self.about["input"]: inputs, "attention_mask": masks}
        known = {entry.name for entry in self.session.get_inputs()}
        logits: Array = self.session.run(["logits"], {name: feed[name] for name in feed if name in known})[0]
        return logits

    def embed(self, clips: Sequence[Int16], batch_size: int, frames: bool) -> tuple[Probabilities, list[Embedding]]:
        """Raise a UserError: an exported model gives no embeddings."""
        raise UserError(f"checkpoint={self.name}: an exported model gives no embeddings; give the run itself")


def pad_to_longest(arrays: Sequence[Array]) -> Iterator[Array]:
    """Yield arrays `(1, time)` with zeros up to the longest of them; others have one length already."""
    longest = max(array.shape[-1] for array in arrays)
    for array in arrays:
        yield np.pad(array, ((0, 0), (0, longest - array.shape[-1]))) if array.ndim == 2 else array


def read_description(folder: Path) -> dict[str, Any]:
    """Read ser.json.

    Raises:
        UserError: It is damaged, or was not written by `ser export`.
    """
    path = folder / EXPORTED
    try:
        about = dict(json.loads(path.read_text(encoding="utf-8")))
        missing = [key for key in NEEDED if key not in about]
        known = about.get("prepare") in PREPARE and about.get("activation") in ACTIVATIONS
        inside = not missing and Path(str(about["model"])).name == about["model"]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: it is damaged ({' '.join(str(error).split())}); export the model again") from error
    if missing or not known or not inside:
        raise UserError(f"{path}: it does not describe a model of this release; export the model again")
    return about


def open_session(model: Path) -> Any:
    """Open an ONNX model on the CPU.

    Raises:
        UserError: The file is missing or damaged.
    """
    import onnxruntime  # of the extra `export`
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    # Threads that spin while they wait take the processor from other programs; see `ser.cli`.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads := os.environ.get("OMP_NUM_THREADS"):
        options.intra_op_num_threads = int(threads) if threads.isdigit() else 0
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoSuchFile,
    ) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{model}: onnxruntime cannot read it ({reason})") from error
