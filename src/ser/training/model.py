"""The model of a run before training."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel, SequenceFeatureExtractor, set_seed

from ser import config
from ser.acceleration.spec_augment import uses_spec_augment
from ser.models import checkpoint, freezing
from ser.models.stamp import INTERMEDIATE, STAMP

log = logging.getLogger("ser")


@dataclass(frozen=True)
class Model:
    """An untrained classifier, its feature extractor and its LoRA adaptation."""

    classifier: PreTrainedModel
    extractor: SequenceFeatureExtractor
    adaptation: Any
    """The LoRA model around the encoder; None without LoRA."""

    @property
    def parameters(self) -> dict[str, int]:
        """The numbers of parameters, `all` and `trained`."""
        trained = sum(one.numel() for one in self.classifier.parameters() if one.requires_grad)
        return {"all": self.classifier.num_parameters(), "trained": trained}

    def stamp(self, stamp: dict[str, Any]) -> None:
        """Write the description of the run into the config of all checkpoints; saving fills in the step."""
        setattr(self.classifier.config, STAMP, {**stamp, INTERMEDIATE: True})


def build_model(cfg: config.Train, emotions: Sequence[str]) -> Model:
    """Seed all generators, then build the classifier, freeze and adapt it."""
    set_seed(cfg.seed)
    classifier, extractor = checkpoint.build(cfg.model, emotions)
    model = Model(classifier, extractor, freezing.freeze_and_adapt(classifier, cfg.model))
    parameters = model.parameters
    log.info("%s of %s parameters are trained", f"{parameters['trained']:,}", f"{parameters['all']:,}")
    return model


def leaves_out_parameters(classifier: PreTrainedModel) -> bool:
    """Return whether a training step may give some trained parameters no gradient.

    Several processes then have to find out in each step which gradients they do not wait for.
    """
    settings = classifier.config
    if getattr(settings, "layerdrop", 0) or getattr(settings, "encoder_layerdrop", 0):
        return True
    mask = getattr(classifier.base_model, "masked_spec_embed", None)
    masks_time = uses_spec_augment(classifier) and settings.mask_time_prob > 0
    return mask is not None and mask.requires_grad and not masks_time
