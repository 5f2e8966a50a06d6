"""The trainers of scripts/recipes.py whose encoder trains with the speakers as well."""

from typing import Any

import torch
from recipe_trainers import Recipe
from torch import nn
from torch.nn import functional

from ser.augmentation.draw import Augmenter
from ser.errors import UserError
from ser.training.collation import TrainingCollator

SPEAKERS = "speakers"
"""Key of a batch: the number of each clip's speaker."""


class SpeakerCollator(TrainingCollator):
    """Adds the speakers to a batch of training."""

    speakers: torch.Tensor
    """Of each training clip."""

    def __call__(self, examples: list[Any]) -> dict[str, torch.Tensor]:
        clips = [example["clip"] for example in examples]
        return {**super().__call__(examples), SPEAKERS: self.speakers[clips]}


class Speaker(Recipe):
    """Adds `a CE(V f + c, s)`: a linear head predicts the training speaker s from the pooled features f; `value` is a.

    `f` is what the last layer gets. Multitask learning (Caruana 1997, Machine Learning 28). The gradient of the head
    is not part of the norm that is clipped.
    """

    value = 0.1
    keeps_state = True

    def __init__(self, *args: Any, augmenter: Augmenter | None = None, **kwargs: Any) -> None:
        super().__init__(*args, augmenter=augmenter, **kwargs)
        clips = getattr(self.train_dataset, "utterances", None)
        if clips is None or self.options.compile:
            raise UserError("speaker, adversarial: give trainer.cache_features, dataset_on_gpu and compile=false")
        codes, names = clips.codes("speaker")
        self.data_collator = SpeakerCollator(self._collator, self.model, self.args.seed, self.epoch, augmenter)
        self.data_collator.speakers = torch.tensor(codes, dtype=torch.long)
        last = self.model.classifier
        with torch.random.fork_rng():  # the head draws nothing of what the run without it draws
            torch.manual_seed(self.args.seed)
            self.speaker_head = nn.Linear(last.in_features, len(names)).to(self.args.device)
        last.register_forward_pre_hook(self.take_features)

    def take_features(self, layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        self.features = inputs[0]

    def create_optimizer(self, *args: Any) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(*args)
        rate = self.options.head_learning_rate or self.args.learning_rate
        optimizer.add_param_group({"params": list(self.speaker_head.parameters()), "lr": rate, "weight_decay": 0.0})
        return optimizer

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Add the loss of the speakers in training; an evaluation has none."""
        speakers = inputs.pop(SPEAKERS, None)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if speakers is not None:
            self.speaker_head.zero_grad()  # the Trainer does so for the model alone
            logits = self.speaker_head(self.passed_on(self.features).float())
            loss = loss + self.value * functional.cross_entropy(logits, speakers)
        return (loss, outputs) if return_outputs else loss

    def passed_on(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features as the speaker head gets them, `(batch, width)`."""
        return features


class Adversarial(Speaker):
    """The same, with the gradient of the speakers' loss negated below the head: it learns s, the encoder unlearns it.

    Ganin et al. 2016 (arXiv 1505.07818, section 4.2), with a constant factor.
    """

    def passed_on(self, features: torch.Tensor) -> torch.Tensor:
        return Reversal.apply(features)


class Reversal(torch.autograd.Function):
    """The identity, whose gradient is negated."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor) -> torch.Tensor:
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return -gradient
