"""Prediction of clips with a fine-tuned checkpoint, in PyTorch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel

from ser.acceleration.attention import use_blocks
from ser.data.audio_file import Int16
from ser.data.batches import restore_order
from ser.data.dataset import Example, ExtractorCollator, WaveformCollator, collator_for
from ser.inference.member import Member, Result, split_batches
from ser.models import checkpoint
from ser.models.architectures import depends_on_padding
from ser.models.arrays import Embedding, Probabilities
from ser.models.checkpoint import Checkpoint
from ser.models.embeddings import compute_logits_and_embeddings
from ser.models.forward import Batch, compute_logits, default_device
from ser.models.hub import find_or_download_checkpoint
from ser.models.stamp import audio_config


@dataclass(frozen=True)
class CheckpointMember(Member):
    """A fine-tuned checkpoint, computed with PyTorch."""

    classifier: PreTrainedModel
    collator: WaveformCollator | ExtractorCollator

    @classmethod
    def from_checkpoint(cls, given: str) -> "CheckpointMember":
        """Open a run folder, a checkpoint folder or a repository of the hub."""
        folder = find_or_download_checkpoint(given)
        return cls.from_opened(given, folder, checkpoint.open_checkpoint(folder))

    @classmethod
    def from_opened(cls, name: str, folder: Path, opened: Checkpoint) -> "CheckpointMember":
        """Take an opened checkpoint."""
        trim = audio_config(opened.stamp).trim
        collator = collator_for(opened.extractor)
        if default_device().type == "cpu":
            use_blocks(opened.classifier)
        return cls(name, folder, trim, opened.outputs, opened.stamp, opened.classifier, collator)

    def predict(self, clips: Sequence[Int16], batch_size: int) -> Probabilities:
        """Predict clips; see `Member.predict`."""
        order, make, lengths = self.plan_batches(clips, batch_size)
        computed = self.map_batches(lambda batches: compute_logits(self.classifier, batches), order, make, lengths)
        return restore_order(self.to_probabilities(np.concatenate(computed)), order)

    def embed(self, clips: Sequence[Int16], batch_size: int, frames: bool) -> tuple[Probabilities, list[Embedding]]:
        """Predict and embed clips; see `Member.embed`."""
        order, make, lengths = self.plan_batches(clips, batch_size)
        compute = partial(compute_logits_and_embeddings, self.classifier, frames=frames)
        logits, embeddings = zip(*self.map_batches(compute, order, make, lengths), strict=True)
        by_clip = dict(zip(chain.from_iterable(order), chain.from_iterable(embeddings), strict=True))
        probabilities = restore_order(self.to_probabilities(np.concatenate(logits)), order)
        return probabilities, [by_clip[index] for index in range(len(clips))]

    def map_batches(
        self,
        compute: Callable[[Iterable[Batch]], Result],
        order: Sequence[list[int]],
        make: Callable[[list[int]], Batch],
        lengths: Sequence[int],
    ) -> list[Result]:
        """Return the results of batches in their order: of each by itself on a CPU, of all together on a GPU.

        Args:
            compute: Returns the result of some batches.
            order: The clip indices of each batch.
            make: Makes the batch of these indices.
            lengths: Samples of each clip.
        """
        if default_device().type == "cpu":
            return self.compute_side_by_side(lambda batch: compute([make(batch)]), order, lengths)
        return [compute(map(make, order))]

    def make_batches(self, clips: Sequence[Int16], batch_size: int) -> tuple[list[list[int]], Iterator[Batch]]:
        """Return the clip indices of each batch, and the batches; without padding where it would change predictions."""
        order, make, _ = self.plan_batches(clips, batch_size)
        return order, map(make, order)

    def plan_batches(
        self, clips: Sequence[Int16], batch_size: int
    ) -> tuple[list[list[int]], Callable[[list[int]], Batch], list[int]]:
        """Return the clip indices of each batch, the function that makes a batch of them, and the samples of clips."""
        spoken = self.cut_silence(clips)
        lengths = [len(clip) for clip in spoken]
        order = list(split_batches(lengths, batch_size, depends_on_padding(self.classifier.config)))
        examples = [Example(samples=clip, label=0, clip=0) for clip in spoken]  # the collator uses only the samples
        return order, lambda batch: self.collator([examples[index] for index in batch]), lengths
