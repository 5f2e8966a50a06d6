"""Prediction of clips with one checkpoint or an ensemble; a prediction does not depend on its batch."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from ser.config import Ensemble
from ser.data.audio import SAMPLE_RATE, Int16
from ser.data.dataset import Example, ExtractorCollator, WaveformCollator, collator_for, restore_order, scoring_batches
from ser.data.silence import speech_span
from ser.errors import UserError
from ser.evaluation.ensembles import combine
from ser.evaluation.perturbed import predict_with_copies
from ser.inference.predictions import Prediction, Probabilities
from ser.models import checkpoint
from ser.models.architectures import depends_on_padding
from ser.models.embeddings import Embedding, compute_logits_and_embeddings
from ser.models.forward import Batch, Logits, compute_logits
from ser.models.hub import find_or_download_checkpoint
from ser.models.outputs import Outputs

log = logging.getLogger("ser")

MAX_BATCH_SAMPLES = 60 * SAMPLE_RATE
"""Most samples of a batch, including padding; attention needs more memory for few long clips than for many short."""


@dataclass(frozen=True)
class Member:
    """A checkpoint of a predictor."""

    name: str
    classifier: PreTrainedModel
    collator: WaveformCollator | ExtractorCollator
    trim: bool
    """Whether silence is cut off at both ends of a clip, as in its training."""
    outputs: Outputs
    stamp: dict[str, Any]
    """Description of its training; empty for a checkpoint that `ser train` did not write."""

    @classmethod
    def from_checkpoint(cls, given: str) -> "Member":
        """Open a run folder, a checkpoint folder or a repository of the hub."""
        opened = checkpoint.open_checkpoint(find_or_download_checkpoint(given))
        trim = checkpoint.audio_config(opened.stamp).trim
        collator = collator_for(opened.extractor)
        return cls(given, opened.classifier, collator, trim, opened.outputs, opened.stamp)

    @property
    def labels(self) -> list[str]:
        """The emotions in the order of this checkpoint."""
        return self.outputs.labels

    def predict(self, clips: Sequence[Int16], batch_size: int) -> Probabilities:
        """Return probabilities `(clips, emotions)` with the emotions in the order of `labels`.

        Raises:
            UserError: The logits are not finite.
        """
        order, batches = self.make_batches(clips, batch_size)
        return restore_order(self.to_probabilities(compute_logits(self.classifier, batches)), order)

    def embed(self, clips: Sequence[Int16], batch_size: int, frames: bool) -> tuple[Probabilities, list[Embedding]]:
        """Return the probabilities of `predict` and the embedding of each clip, from one forward pass.

        Args:
            clips: 16 kHz clips, each `(samples,)`.
            batch_size: Largest number of clips in a batch.
            frames: Whether to return embeddings `(frames, width)` rather than their means `(width,)`.

        Raises:
            UserError: The logits are not finite.
        """
        order, batches = self.make_batches(clips, batch_size)
        computed, embeddings = compute_logits_and_embeddings(self.classifier, batches, frames)
        by_clip = dict(zip((index for batch in order for index in batch), embeddings, strict=True))
        return restore_order(self.to_probabilities(computed), order), [by_clip[index] for index in range(len(clips))]

    def make_batches(self, clips: Sequence[Int16], batch_size: int) -> tuple[list[list[int]], Iterator[Batch]]:
        """Return the clip indices of each batch, and the batches; without padding where it would change predictions."""
        spoken = [clip[slice(*speech_span(clip))] for clip in clips] if self.trim else list(clips)
        lengths = [len(clip) for clip in spoken]
        order = list(split_batches(lengths, batch_size, depends_on_padding(self.classifier.config)))
        examples = [Example(samples=clip, label=0, clip=0) for clip in spoken]  # the collator uses only the samples
        return order, (self.collator([examples[index] for index in batch]) for batch in order)

    def to_probabilities(self, computed: Logits) -> Probabilities:
        """Convert logits to probabilities, both `(clips, emotions)`.

        Raises:
            UserError: The logits are not finite.
        """
        if not np.isfinite(computed).all():
            raise UserError(f"checkpoint={self.name}: its logits are not finite numbers, so its weights are broken")
        return self.outputs.probabilities(computed)


def split_batches(lengths: Sequence[int], batch_size: int, equal_lengths: bool) -> Iterator[list[int]]:
    """Yield batches of indices from the shortest to the longest clips; batches of long clips are smaller."""
    for batch in scoring_batches(lengths, batch_size, equal_lengths):
        few = max(1, MAX_BATCH_SAMPLES // max(lengths[batch[-1]], 1))
        yield from (batch[start : start + few] for start in range(0, len(batch), few))


@dataclass(frozen=True)
class Predictor:
    """A single checkpoint or an ensemble."""

    members: list[Member]
    ensemble: Ensemble
    batch_size: int
    embeds: bool = False
    """Whether each prediction has an embedding; for a single checkpoint only."""
    copies: int = 0
    """Number of perturbed copies of each clip over which probabilities are averaged."""

    @classmethod
    def from_checkpoints(
        cls, checkpoints: Sequence[str], ensemble: Ensemble, batch_size: int, embeds: bool = False, copies: int = 0
    ) -> "Predictor":
        """Open checkpoints.

        Args:
            checkpoints: Run folders, checkpoint folders or repositories of the hub.
            ensemble: How their predictions are combined.
            batch_size: Largest number of clips in a batch.
            embeds: Whether each prediction has an embedding.
            copies: Number of perturbed copies of each clip over which probabilities are averaged.

        Raises:
            UserError: One of them is not a checkpoint or is given twice, or its labels or its kind of head differ from
                those of the first.
        """
        check_distinct(checkpoints)
        members = [Member.from_checkpoint(given) for given in checkpoints]
        first = members[0]
        for member in members[1:]:
            if member.outputs.activation != first.outputs.activation:
                raise UserError(
                    f"checkpoint={member.name}: its head is a {member.outputs.activation}, that of {first.name} a "
                    f"{first.outputs.activation}; they cannot predict together"
                )
            if set(member.labels) != set(first.labels):
                raise UserError(
                    f"checkpoint={member.name}: it predicts {', '.join(member.labels)}, {first.name} predicts "
                    f"{', '.join(first.labels)}; they cannot predict together"
                )
        for member in members:
            log.info("%s", describe(member))
        return cls(members, ensemble, batch_size, embeds, copies)

    @cached_property
    def labels(self) -> list[str]:
        """The emotions in the order of the probabilities."""
        return self.members[0].labels

    def predict(self, clips: Sequence[Int16]) -> list[Prediction]:
        """Predict 16 kHz clips, each `(samples,)`; a prediction does not depend on the other clips."""
        if self.embeds:
            probabilities, embeddings = self.members[0].embed(clips, self.batch_size, frames=False)
            pairs = zip(probabilities, embeddings, strict=True)
            return [Prediction.from_array(self.labels, row, embedding=embedding) for row, embedding in pairs]
        each = self.predict_each(clips)
        combined, best = combine(each, self.ensemble)
        predictions = []
        for clip, row in enumerate(combined):
            members = [Prediction.from_array(self.labels, member[clip]) for member in each if len(each) > 1]
            predictions.append(Prediction.from_array(self.labels, row, best[clip], tuple(members)))
        return predictions

    def predict_each(self, clips: Sequence[Int16]) -> list[Probabilities]:
        """Return the probabilities of each checkpoint, each `(clips, emotions)` in the order of `labels`."""
        return [self.in_label_order(member, self.predict_by(member, clips)) for member in self.members]

    def predict_by(self, member: Member, clips: Sequence[Int16]) -> Probabilities:
        """Return the probabilities of one checkpoint, averaged over copies where that is asked for."""
        return predict_with_copies(lambda some: member.predict(some, self.batch_size), clips, self.copies)

    def in_label_order(self, member: Member, probabilities: Probabilities) -> Probabilities:
        """Return the probabilities of a member with the columns in the order of `labels`."""
        ordered: Probabilities = probabilities[:, [member.labels.index(label) for label in self.labels]]
        return ordered


def check_distinct(checkpoints: Sequence[str]) -> None:
    """Raise a UserError where two names, in any spelling, resolve to the same checkpoint."""
    seen: dict[Path, str] = {}
    for given in checkpoints:
        folder = find_or_download_checkpoint(given).resolve()
        if folder in seen:
            raise UserError(f"checkpoint={given}: it is the same as {seen[folder]}; give each once")
        seen[folder] = given


def describe(member: Member) -> str:
    """Describe the training of a checkpoint in one line."""
    if not member.stamp:
        return f"{member.name}: not trained by ser; nothing is known of how well it does"
    protocol = member.stamp["identity"]["name"]
    step = (
        f", as it was at step {member.stamp['step']} of training" if member.stamp.get(checkpoint.INTERMEDIATE) else ""
    )
    trained_on = f"trained on {member.stamp['corpus']} under protocol '{protocol}'"
    return f"{member.name}: {member.stamp['model']}, {trained_on}{step}"
