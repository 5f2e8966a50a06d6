"""A member of a predictor: a fine-tuned checkpoint, or an exported model. Nothing here needs PyTorch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ser.data.audio import SAMPLE_RATE
from ser.data.audio_file import Int16
from ser.data.batches import scoring_batches
from ser.data.parallel import count_threads, map_side_by_side
from ser.data.silence import cut_silence
from ser.errors import UserError
from ser.garbage import keep_imported
from ser.models.arrays import Embedding, Logits, Probabilities
from ser.models.file_names import EXPORTED, local_path
from ser.models.outputs import Outputs

Result = TypeVar("Result")

MAX_BATCH_SAMPLES = 60 * SAMPLE_RATE
"""Most samples of a batch, including padding; attention needs more memory for few long clips than for many short."""
MAX_SAMPLES_SIDE_BY_SIDE = 2 * MAX_BATCH_SAMPLES
"""Most samples of the batches that are computed at the same time."""


@dataclass(frozen=True)
class Member(ABC):
    """A model that predicts clips; a prediction does not depend on its batch."""

    name: str
    """As it was given."""
    folder: Path
    trim: bool
    """Whether silence is cut off at both ends of a clip, as in its training."""
    outputs: Outputs
    stamp: dict[str, Any]
    """Description of its training; empty for a checkpoint that `ser train` did not write."""

    @property
    def labels(self) -> list[str]:
        """The emotions in the order of this model."""
        return self.outputs.labels

    def weights_size(self) -> int:
        """Return the bytes of its weights, which tell roughly how long a prediction takes."""
        return sum(file.stat().st_size for file in self.folder.glob("*.safetensors"))

    def load(self) -> None:  # noqa: B027  # most members have nothing left to load
        """Load what predictions need; nothing where that was done when the member was opened.

        Raises:
            UserError: The model cannot be loaded.
        """

    @abstractmethod
    def predict(self, clips: Sequence[Int16], batch_size: int) -> Probabilities:
        """Return probabilities `(clips, emotions)` with the emotions in the order of `labels`.

        Raises:
            UserError: The logits are not finite.
        """

    @abstractmethod
    def embed(self, clips: Sequence[Int16], batch_size: int, frames: bool) -> tuple[Probabilities, list[Embedding]]:
        """Return the probabilities of `predict` and the embedding of each clip, from one forward pass.

        Args:
            clips: 16 kHz clips, each `(samples,)`.
            batch_size: Largest number of clips in a batch.
            frames: Whether to return embeddings `(frames, width)` rather than their means `(width,)`.

        Raises:
            UserError: The logits are not finite, or the model gives no embeddings.
        """

    def compute_side_by_side(
        self, compute: Callable[[list[int]], Result], order: Sequence[list[int]], lengths: Sequence[int]
    ) -> list[Result]:
        """Return the results of batches in their order.

        Batches are computed side by side, with the cores shared out among them: the matrices of one are too small for
        several cores. They hold `MAX_SAMPLES_SIDE_BY_SIDE` together at the most.

        Args:
            compute: Returns the result of the clips with these indices.
            order: The indices of each batch, from the shortest to the longest clips.
            lengths: Samples of each clip.
        """
        largest = max(len(batch) * lengths[batch[-1]] for batch in order)
        workers = max(1, min(count_threads(), len(order), MAX_SAMPLES_SIDE_BY_SIDE // max(largest, 1)))
        return map_side_by_side(compute, order, workers, len(order))

    def cut_silence(self, clips: Sequence[Int16]) -> list[Int16]:
        """Return the clips as the model was trained on them."""
        return list(map(cut_silence, clips)) if self.trim else list(clips)

    def to_probabilities(self, computed: Logits) -> Probabilities:
        """Convert logits to probabilities, both `(clips, emotions)`.

        Raises:
            UserError: The logits are not finite.
        """
        if not np.isfinite(computed).all():
            raise UserError(f"checkpoint={self.name}: its logits are not finite numbers, so its weights are broken")
        return self.outputs.probabilities(computed)


def locate(given: str) -> Path:
    """Return the folder of a checkpoint or of an exported model; a repository of the hub is downloaded.

    Raises:
        UserError: There is none.
    """
    path = local_path(given)
    if is_exported(path):
        return path
    with keep_imported():  # a second that an exported model does not need
        from ser.models.hub import find_or_download_checkpoint

    return find_or_download_checkpoint(given)


def is_exported(path: Path) -> bool:
    """Return whether a path is the folder of `ser export`, or an ONNX file in one."""
    return (path / EXPORTED).is_file() or (path.suffix == ".onnx" and (path.parent / EXPORTED).is_file())


def open_member(given: str) -> Member:
    """Open a run folder, a checkpoint folder, an exported model or a repository of the hub."""
    folder = locate(given)
    if is_exported(folder):
        with keep_imported():
            from ser.inference.onnx_member import OnnxMember

        return OnnxMember.from_export(given, folder)
    with keep_imported():
        from ser.inference.checkpoint_member import CheckpointMember

    return CheckpointMember.from_checkpoint(given)


def split_batches(lengths: Sequence[int], batch_size: int, equal_lengths: bool) -> Iterator[list[int]]:
    """Yield batches of indices from the shortest to the longest clips; batches of long clips are smaller."""
    for batch in scoring_batches(lengths, batch_size, equal_lengths):
        few = max(1, MAX_BATCH_SAMPLES // max(lengths[batch[-1]], 1))
        yield from (batch[start : start + few] for start in range(0, len(batch), few))
