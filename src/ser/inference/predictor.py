"""Prediction of clips with one model or an ensemble; a prediction does not depend on its batch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ser import console
from ser.config import Ensemble
from ser.data.audio_file import Int16
from ser.errors import UserError
from ser.garbage import keep_imported
from ser.inference.member import Member, is_exported, locate, open_member
from ser.inference.predictions import Prediction
from ser.models.arrays import Probabilities
from ser.models.file_names import local_path
from ser.models.outputs import scale_by_temperature
from ser.models.stamp import INTERMEDIATE

log = logging.getLogger("ser")


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
    temperature: float = 1.0
    """Of the probabilities of the model or of the ensemble; see `scale_by_temperature`."""

    @classmethod
    def from_checkpoints(
        cls,
        checkpoints: Sequence[str],
        ensemble: Ensemble,
        batch_size: int,
        embeds: bool = False,
        copies: int = 0,
        temperature: float = 1.0,
    ) -> "Predictor":
        """Open checkpoints.

        Args:
            checkpoints: Run folders, checkpoint folders or repositories of the hub.
            ensemble: How their predictions are combined.
            batch_size: Largest number of clips in a batch.
            embeds: Whether each prediction has an embedding.
            copies: Number of perturbed copies of each clip over which probabilities are averaged.
            temperature: Scales the probabilities; 1 leaves them as they are.

        Raises:
            UserError: One of them is not a checkpoint or is given twice, or its labels or its kind of head differ from
                those of the first, or its head has no temperature.
        """
        check_distinct(checkpoints)
        members = [open_member(given) for given in checkpoints]
        return cls.from_members(members, ensemble, batch_size, embeds, copies, temperature)

    @classmethod
    def from_members(
        cls,
        members: list[Member],
        ensemble: Ensemble,
        batch_size: int,
        embeds: bool = False,
        copies: int = 0,
        temperature: float = 1.0,
    ) -> "Predictor":
        """Combine members; see `from_checkpoints` for the arguments and the exceptions."""
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
        if temperature != 1 and first.outputs.activation != "softmax":
            raise UserError(
                f"temperature={temperature:g}: the head of {first.name} is a {first.outputs.activation}, and only a "
                "softmax has a temperature; leave it out"
            )
        for member in members:
            log.info("%s", describe(member))
        return cls(members, ensemble, batch_size, embeds, copies, temperature)

    @cached_property
    def labels(self) -> list[str]:
        """The emotions in the order of the probabilities."""
        return self.members[0].labels

    def load(self) -> None:
        """Load what predictions need, where the members were opened without it; see `Member.load`."""
        for member in self.members:
            member.load()

    def predict(self, clips: Sequence[Int16]) -> list[Prediction]:
        """Predict 16 kHz clips, each `(samples,)`; a prediction does not depend on the other clips."""
        if self.embeds:
            probabilities, embeddings = self.members[0].embed(clips, self.batch_size, frames=False)
            pairs = zip(self.scale(probabilities), embeddings, strict=True)
            return [Prediction.from_array(self.labels, row, embedding=embedding) for row, embedding in pairs]
        each = self.predict_each(clips)
        combined, best = self.combine(each)
        predictions = []
        for clip, row in enumerate(combined):
            members = [Prediction.from_array(self.labels, member[clip]) for member in each if len(each) > 1]
            predictions.append(Prediction.from_array(self.labels, row, best[clip], tuple(members)))
        return predictions

    def combine(self, each: Sequence[Probabilities]) -> tuple[Probabilities, npt.NDArray[np.intp]]:
        """Return the probabilities of the ensemble `(clips, emotions)` and the index of each predicted emotion."""
        if len(each) == 1 and self.ensemble is Ensemble.mean:
            return self.scale(each[0]), each[0].argmax(axis=1)
        from ser.evaluation.ensembles import combine  # imports what a single model does not need

        combined, best = combine(each, self.ensemble)
        return self.scale(combined), best

    def scale(self, probabilities: Probabilities) -> Probabilities:
        """Return the probabilities at the temperature; at 1 they are not computed again, which would round them."""
        return probabilities if self.temperature == 1 else scale_by_temperature(probabilities, self.temperature)

    def predict_each(self, clips: Sequence[Int16]) -> list[Probabilities]:
        """Return the probabilities of each checkpoint, each `(clips, emotions)` in the order of `labels`."""
        return [self.in_label_order(member, self.predict_by(member, clips)) for member in self.members]

    def predict_by(self, member: Member, clips: Sequence[Int16]) -> Probabilities:
        """Return the probabilities of one checkpoint, averaged over copies where that is asked for."""
        if not self.copies:
            return member.predict(clips, self.batch_size)
        from ser.evaluation.perturbed import predict_with_copies  # imports PyTorch

        return predict_with_copies(lambda some: member.predict(some, self.batch_size), clips, self.copies)

    def in_label_order(self, member: Member, probabilities: Probabilities) -> Probabilities:
        """Return the probabilities of a member with the columns in the order of `labels`."""
        ordered: Probabilities = probabilities[:, [member.labels.index(label) for label in self.labels]]
        return ordered


def prepare_pytorch(checkpoints: Sequence[str]) -> None:
    """Set up PyTorch for prediction where one of the models needs it. Call before the first forward pass."""
    if all(is_exported(local_path(given)) for given in checkpoints):
        return
    with keep_imported():
        from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul, limit_onednn_cache

    console.quiet_transformers()
    limit_onednn_cache()
    enable_onednn_fp32_matmul()


def check_distinct(checkpoints: Sequence[str]) -> None:
    """Raise a UserError where two names, in any spelling, resolve to the same checkpoint."""
    seen: dict[Path, str] = {}
    for given in checkpoints:
        folder = locate(given).resolve()
        if folder in seen:
            raise UserError(f"checkpoint={given}: it is the same as {seen[folder]}; give each once")
        seen[folder] = given


def describe(member: Member) -> str:
    """Describe the training of a checkpoint in one line."""
    if not member.stamp:
        return f"{member.name}: not trained by ser; nothing is known of how well it does"
    protocol = member.stamp["identity"]["name"]
    step = f", as it was at step {member.stamp['step']} of training" if member.stamp.get(INTERMEDIATE) else ""
    trained_on = f"trained on {member.stamp['corpus']} under protocol '{protocol}'"
    return f"{member.name}: {member.stamp['model']}, {trained_on}{step}"
