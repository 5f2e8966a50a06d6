"""Train towards the predictions of other checkpoints as well: knowledge distillation (Hinton et al. 2015)."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from ser import config
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits, split_sha256
from ser.errors import UserError
from ser.models import checkpoint
from ser.models.file_names import local_path
from ser.models.hub import find_checkpoint
from ser.models.stamp import audio_config

log = logging.getLogger("ser")

MASKS = ("mask_time_indices", "mask_feature_indices")
"""Inputs of training alone."""


@dataclass(frozen=True)
class Teachers:
    """Checkpoints whose predictions a model is trained towards."""

    classifiers: Sequence[PreTrainedModel]
    weight: float
    """Share of this loss in the loss of training."""
    temperature: float
    """Divides all logits."""

    def to(self, device: torch.device) -> None:
        for classifier in self.classifiers:
            classifier.eval().to(device)

    @torch.no_grad()
    def predict(self, inputs: Any, autocast: AbstractContextManager[Any]) -> torch.Tensor:
        """Return the mean of the softened probabilities of all teachers, `(batch, emotions)`.

        Args:
            inputs: A batch of training.
            autocast: The arithmetic of training.
        """
        seen = {name: tensor for name, tensor in inputs.items() if name not in ("labels", *MASKS)}
        with autocast:
            logits = [classifier(**seen).logits.float() for classifier in self.classifiers]
        return torch.stack([(one / self.temperature).softmax(dim=-1) for one in logits]).mean(dim=0)

    def combine(
        self, loss: torch.Tensor, logits: torch.Tensor, probabilities: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return `(1 - w) loss + w T^2 mean_i KL(p_i || softmax(z_i / T))`, from equation 1 and section 2.1 there.

        Args:
            loss: The loss of the labels.
            logits: Those of the trained model, `z`, `(batch, emotions)`.
            probabilities: The result of `predict`, `p`.
            weights: Factors of the clips in the mean, `(batch,)`; None: all 1.
        """
        softened = (logits.float() / self.temperature).log_softmax(dim=-1)
        each = functional.kl_div(softened, probabilities, reduction="none").sum(dim=-1) * self.temperature**2
        if weights is not None:
            each = each * weights
        return (1 - self.weight) * loss + self.weight * each.mean()


def open_teachers(cfg: config.Train, prepared: PreparedCorpus, splits: Splits, extractor: Any) -> Teachers | None:
    """Load the checkpoints of `trainer.teachers`; None where there are none.

    Raises:
        UserError: One of them was trained under other splits, so that it may have been trained on tested clips; or it
            takes another input.
    """
    if not cfg.trainer.teachers:
        return None
    folders = [folder for given in cfg.trainer.teachers for folder in find_teachers(given, cfg.protocol.fold)]
    tested = split_sha256(splits.test)
    classifiers = []
    for folder in folders:
        stamp = checkpoint.stamp_of(folder)
        if stamp["identity"]["test_sha256"] != tested:
            raise UserError(
                f"trainer.teachers: {folder} was trained under other splits, and may have been trained on clips that "
                "are tested here; give runs of the same corpus, protocol and fold"
            )
        classifier, own = checkpoint.load(folder, prepared.emotions)
        if describe_input(own, audio_config(stamp)) != describe_input(extractor, cfg.audio):
            raise UserError(
                f"trainer.teachers: {folder} takes other inputs than model={cfg.model.name} (or audio.trim)"
            )
        classifiers.append(classifier)
    log.info("trained towards the predictions of %d checkpoints as well", len(classifiers))
    return Teachers(classifiers, cfg.trainer.teacher_weight, cfg.trainer.teacher_temperature)


def find_teachers(given: str, fold: int | None) -> list[Path]:
    """Return the checkpoints in a run folder; in that of several folds, those of this fold, of all seeds."""
    below = sorted(local_path(given).glob(f"*fold{fold}")) if fold is not None else []
    return [find_checkpoint(str(path)) for path in below] or [find_checkpoint(given)]


def describe_input(extractor: Any, audio: config.Audio) -> tuple[Any, ...]:
    """Return what decides the input of an encoder."""
    return extractor.model_input_names[0], bool(getattr(extractor, "do_normalize", False)), audio.trim
