"""Answer clips with one checkpoint or several: probabilities by name, whatever the batch."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedModel

from ser.config import Ensemble
from ser.data.audio import SAMPLE_RATE, Int16
from ser.data.dataset import Example, ExtractorCollator, WaveformCollator, collator_for, in_order, scoring_batches
from ser.data.silence import boundaries
from ser.errors import UserError
from ser.models import checkpoint
from ser.models.architectures import depends_on_padding
from ser.models.embeddings import Embedding, compute_logits_and_embeddings
from ser.models.forward import Batch, Logits, compute_logits
from ser.models.hub import find_or_download_checkpoint
from ser.models.outputs import Outputs

log = logging.getLogger("ser")

Shares = npt.NDArray[np.float64]

TOGETHER = 60 * SAMPLE_RATE
"""Samples of a batch, padding included: attention over a few long clips fills a memory that many short ones do not."""


@dataclass(frozen=True)
class Member:
    """A checkpoint that answers."""

    name: str
    classifier: PreTrainedModel
    collator: WaveformCollator | ExtractorCollator
    trim: bool
    """Whether it was trained on clips without the silence at both ends, and so must hear such clips."""
    outputs: Outputs
    stamp: dict[str, Any]
    """What it was trained on; empty where `ser train` did not write it."""

    @classmethod
    def of(cls, given: str) -> "Member":
        """Open a run folder, a checkpoint folder or a repository of the hub."""
        opened = checkpoint.open_checkpoint(find_or_download_checkpoint(given))
        trim = checkpoint.audio_config(opened.stamp).trim
        collator = collator_for(opened.extractor)
        return cls(given, opened.classifier, collator, trim, opened.outputs, opened.stamp)

    @property
    def labels(self) -> list[str]:
        """Its emotions in its own order."""
        return self.outputs.labels

    def answer(self, clips: Sequence[Int16], batch_size: int) -> Shares:
        """Probabilities `(clips, emotions)` in the order of the clips, its own emotions in its own order.

        Raises:
            UserError: they are no numbers.
        """
        order, batches = self.batches(clips, batch_size)
        return in_order(self.probabilities(compute_logits(self.classifier, batches)), order)

    def embed(self, clips: Sequence[Int16], batch_size: int, frames: bool) -> tuple[Shares, list[Embedding]]:
        """Return the probabilities of `answer` and the embedding of each clip, for the price of one of them.

        Args:
            clips: of 16 kHz, each `(samples,)`.
            batch_size: clips of a batch, at most.
            frames: return embeddings `(frames, width)` rather than their means `(width,)`.

        Raises:
            UserError: the probabilities are no numbers.
        """
        order, batches = self.batches(clips, batch_size)
        made, embeddings = compute_logits_and_embeddings(self.classifier, batches, frames)
        by_clip = dict(zip((index for batch in order for index in batch), embeddings, strict=True))
        return in_order(self.probabilities(made), order), [by_clip[index] for index in range(len(clips))]

    def batches(self, clips: Sequence[Int16], batch_size: int) -> tuple[list[list[int]], Iterator[Batch]]:
        """Return the clips of each batch, and the batches; none is padded where padding would change an answer."""
        spoken = [clip[slice(*boundaries(clip))] for clip in clips] if self.trim else list(clips)
        lengths = [len(clip) for clip in spoken]
        order = list(within_memory(lengths, batch_size, depends_on_padding(self.classifier.config)))
        examples = [Example(samples=clip, label=0, clip=0) for clip in spoken]  # what else nobody reads here
        return order, (self.collator([examples[index] for index in batch]) for batch in order)

    def probabilities(self, made: Logits) -> Shares:
        """Return the probabilities of logits, both `(clips, emotions)`.

        Raises:
            UserError: they are no numbers.
        """
        if not np.isfinite(made).all():
            raise UserError(f"checkpoint={self.name}: its logits are not finite numbers, so its weights are broken")
        return self.outputs.probabilities(made)


def within_memory(lengths: Sequence[int], batch_size: int, equal_lengths: bool) -> Iterator[list[int]]:
    """Batches of indices from the shortest clips to the longest, small ones where the clips are long."""
    for batch in scoring_batches(lengths, batch_size, equal_lengths):
        few = max(1, TOGETHER // max(lengths[batch[-1]], 1))
        yield from (batch[start : start + few] for start in range(0, len(batch), few))


@dataclass(frozen=True)
class Said:
    """What is said of one clip."""

    emotion: str
    shares: Shares
    """`(emotions,)`: probabilities, or the shares of the votes, in the order of the predictor's labels."""
    members: list[Shares]
    """The probabilities of each checkpoint, likewise."""
    embedding: Embedding | None = None
    """`(width,)`, where the predictor embeds."""


@dataclass(frozen=True)
class Answers:
    """What is said of some clips; the fields are those of `Said` with an axis for the clips in front."""

    emotions: list[str]
    shares: Shares
    members: list[Shares]
    embeddings: list[Embedding] | None = None

    def each(self) -> list[Said]:
        """Clip by clip."""
        embeddings: Sequence[Embedding | None] = self.embeddings or [None] * len(self.emotions)
        return [
            Said(emotion, self.shares[index], [member[index] for member in self.members], embeddings[index])
            for index, emotion in enumerate(self.emotions)
        ]


@dataclass(frozen=True)
class Predictor:
    """One checkpoint, or several that answer together."""

    members: list[Member]
    ensemble: Ensemble
    batch_size: int
    embeds: bool = False
    """Give an embedding of each clip beside its answer; for one checkpoint alone."""

    @classmethod
    def of(cls, checkpoints: Sequence[str], ensemble: Ensemble, batch_size: int, embeds: bool = False) -> "Predictor":
        """Open checkpoints.

        Raises:
            UserError: one of them is none, is named twice, or has other labels or another kind of head than the first.
        """
        check_distinct(checkpoints)
        members = [Member.of(given) for given in checkpoints]
        first = members[0]
        for member in members[1:]:
            if member.outputs.activation != first.outputs.activation:
                raise UserError(
                    f"checkpoint={member.name}: its head is a {member.outputs.activation}, that of {first.name} a "
                    f"{first.outputs.activation}; they cannot answer together"
                )
            if set(member.labels) != set(first.labels):
                raise UserError(
                    f"checkpoint={member.name}: it knows {', '.join(member.labels)}, {first.name} knows "
                    f"{', '.join(first.labels)}; they cannot answer together"
                )
        for member in members:
            log.info("%s", described(member))
        return cls(members, ensemble, batch_size, embeds)

    @cached_property
    def labels(self) -> list[str]:
        """Emotions in the order of the answers."""
        return self.members[0].labels

    def answers(self, clips: Sequence[Int16]) -> Answers:
        """Answer clips of 16 kHz, each `(samples,)`; the answer to one does not depend on the others.

        Several checkpoints: the mean of their probabilities; or by `vote` the share of them that choose an emotion,
        with the mean to decide between equal shares.
        """
        if self.embeds:
            shares, embeddings = self.members[0].embed(clips, self.batch_size, frames=False)
            return Answers([self.labels[best] for best in shares.argmax(axis=1)], shares, [shares], embeddings)
        each = [self.by_label(member, member.answer(clips, self.batch_size)) for member in self.members]
        mean = np.mean(each, axis=0)
        if self.ensemble is Ensemble.mean:
            return Answers([self.labels[best] for best in mean.argmax(axis=1)], mean, each)
        votes = np.mean([np.eye(len(self.labels))[answers.argmax(axis=1)] for answers in each], axis=0)
        best = np.where(votes == votes.max(axis=1, keepdims=True), mean, -1.0).argmax(axis=1)
        return Answers([self.labels[index] for index in best], votes, each)

    def by_label(self, member: Member, answers: Shares) -> Shares:
        """The columns of one member in the order of the first one's emotions."""
        ordered: Shares = answers[:, [member.labels.index(label) for label in self.labels]]
        return ordered


def check_distinct(checkpoints: Sequence[str]) -> None:
    """Raise a UserError where two names, however they are spelt, are those of one checkpoint."""
    seen: dict[Path, str] = {}
    for given in checkpoints:
        folder = find_or_download_checkpoint(given).resolve()
        if folder in seen:
            raise UserError(f"checkpoint={given}: it is the same as {seen[folder]}; give each once")
        seen[folder] = given


def described(member: Member) -> str:
    """Which protocol stands behind a checkpoint."""
    if not member.stamp:
        return f"{member.name}: not trained by ser; nothing is known of how well it does"
    protocol = member.stamp["identity"]["name"]
    step = (
        f", as it was at step {member.stamp['step']} of training" if member.stamp.get(checkpoint.INTERMEDIATE) else ""
    )
    trained_on = f"trained on {member.stamp['corpus']} under protocol '{protocol}'"
    return f"{member.name}: {member.stamp['model']}, {trained_on}{step}"
