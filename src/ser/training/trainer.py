"""The Trainer of transformers with an objective, an order of clips and metrics for emotions."""

import logging
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from transformers import EvalPrediction
from transformers.trainer_utils import EvalLoopOutput

from ser import config
from ser.acceleration.compilation import pad_to_fixed_length, step_between_lengths
from ser.acceleration.spec_augment import accept_masks, draw_masks, uses_spec_augment
from ser.config import ClassWeights
from ser.data.dataset import WaveformDataset, scoring_batches
from ser.evaluation.metrics import confusion_matrix, cross_entropy, summarize
from ser.models.architectures import HEAD, depends_on_padding
from ser.models.outputs import softmax
from ser.training.alarms import OneClassAlarm
from ser.training.checkpointing import CheckpointingTrainer
from ser.training.losses import balanced_weights, classification_loss
from ser.training.samplers import EpochSampler, draw_epoch

log = logging.getLogger("ser")


class EmotionTrainer(CheckpointingTrainer):
    """Adds a rate for the head, an objective for rare emotions, an order of clips, accuracy, unpadded scoring."""

    data_collator: Any

    def __init__(self, *args: Any, options: config.Trainer, **kwargs: Any) -> None:
        super().__init__(*args, options=options, **kwargs)
        self._collator = self.data_collator
        self.data_collator = self.training_batch
        accept_masks(self.model)
        if (visible := torch.cuda.device_count()) > 1:
            log.info("%d GPUs are visible and one trains; choose it with CUDA_VISIBLE_DEVICES", visible)
        self._class_weights = (
            balanced_weights(self.training_labels(), self.model.config.num_labels).to(self.args.device)
            if options.class_weights is ClassWeights.balanced
            else None
        )
        if options.compile:
            self._step = step_between_lengths(self.train_dataset.lengths())
        self._one_class = OneClassAlarm(self.model.config.id2label)
        self._right = torch.zeros((), device=self.args.device)
        self._seen = 0

    def create_optimizer(self, *args: Any) -> torch.optim.Optimizer:
        """Give the head its own learning rate; which parameters decay is left to the Trainer."""
        optimizer = super().create_optimizer(*args)
        if self.options.head_learning_rate is not None:
            names = {id(parameter): name for name, parameter in self.model.named_parameters()}
            for group in list(optimizer.param_groups):
                head = [parameter for parameter in group["params"] if names[id(parameter)].startswith(HEAD)]
                group["params"] = [p for p in group["params"] if not names[id(p)].startswith(HEAD)]
                optimizer.add_param_group({**group, "params": head, "lr": self.options.head_learning_rate})
        return optimizer

    def training_labels(self) -> list[int]:
        """Return the class index of each training clip."""
        return [self.train_dataset[index]["label"] for index in range(len(self.train_dataset))]

    def _get_train_sampler(self, *args: Any) -> Sampler[int] | None:
        """Return our sampler where balancing or bucketing is asked for, else that of the Trainer."""
        options = self.options
        if not (options.balanced_sampling or options.bucket_by_length):
            return super()._get_train_sampler(*args)
        draw_order = partial(
            draw_epoch,
            self.training_labels() if options.balanced_sampling else None,
            self.train_dataset.lengths() if options.bucket_by_length else None,
            # The batches that one step accumulates follow one another and gain nothing from being alike: a step of
            # 2 x 4 clips of RAVDESS has 5.0 emotions so, 4.8 were all of it alike, and 5.2 at random.
            self.args.train_batch_size,
            self.args.seed if self.args.data_seed is None else self.args.data_seed,
        )
        # The state counts epochs in fractions, and is read back before a resumed run begins.
        return EpochSampler(len(self.train_dataset), draw_order, lambda: int(self.state.epoch or 0))

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Count right answers beside the loss, on the device: nothing waits for them.

        Only training minimises an objective of its own. Evaluation keeps the model's cross-entropy, so that
        `eval_loss` means the same in every run.
        """
        if model.training and self.has_objective():
            loss, outputs = self.objective(model, inputs)
        else:
            loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if model.training:
            self._right += (outputs.logits.detach().argmax(dim=-1) == inputs["labels"]).sum()
            self._seen += len(inputs["labels"])
        return (loss, outputs) if return_outputs else loss

    def training_batch(self, examples: list[Any]) -> dict[str, torch.Tensor]:
        """Collate a training batch: with a fixed length for compiled graphs, and with SpecAugment's masks.

        The masks follow from the seed, the epoch and the clips alone: a resumed run draws the same.
        """
        batch = self._collator(examples)
        if self.options.compile:
            batch = pad_to_fixed_length(batch, self._step, self.model.frames)
        if not uses_spec_augment(self.model):
            return batch
        mask = batch["attention_mask"]
        # On a GPU it would be waited for; what lies there are waveforms or what the CNN made of them.
        lengths = mask.sum(dim=-1) if mask.is_cpu else torch.tensor([example["samples"] for example in examples])
        seed = [self.args.seed, int(self.state.epoch or 0), *(example["clip"] for example in examples)]
        masks = draw_masks(self.model, lengths, mask.shape[1], seed)
        return {**batch, **{name: drawn.to(mask.device, non_blocking=True) for name, drawn in masks.items()}}

    def has_objective(self) -> bool:
        """Whether training minimises anything but the model's own loss."""
        options = self.options
        return self._class_weights is not None or options.focal_gamma > 0 or options.label_smoothing > 0

    def objective(self, model: Any, inputs: Any) -> tuple[torch.Tensor, Any]:
        """The loss that is minimised, a mean over the clips of the batch, and the outputs of the model."""
        # Without labels the model computes no loss beside this one.
        outputs = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        options = self.options
        loss = classification_loss(
            outputs.logits, inputs["labels"], self._class_weights, options.focal_gamma, options.label_smoothing
        )
        return loss, outputs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the accuracy on the training clips since the last line."""
        if "loss" in logs and self._seen:
            logs["accuracy"] = float(self._right) / self._seen
            self._right.zero_()
            self._seen = 0
        super().log(logs, start_time)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Make the evaluation loss a mean over clips; the library's is one over batches, whatever their size.

        Batches of equally long clips are often small, and each would count as much as a full one.
        """
        output = super().evaluation_loop(*args, **kwargs)
        logits = np.asarray(output.predictions)
        self._one_class.look(logits, self.args.learning_rate)
        shares, truth = softmax(logits), np.asarray(output.label_ids).tolist()
        output.metrics["eval_loss"] = cross_entropy(truth, shares, range(shares.shape[1]))
        return output

    def get_eval_dataloader(self, eval_dataset: WaveformDataset | None = None) -> DataLoader[Any]:
        """Return clips in order of length; of one length where the logits depend on padding.

        For one process: their sizes differ, and accelerate shards and gathers only batches of one size.
        """
        clips = self.eval_dataset if eval_dataset is None else eval_dataset
        batches = scoring_batches(
            clips.lengths(), self.args.eval_batch_size, equal_lengths=depends_on_padding(self.model.config)
        )
        loader: DataLoader[Any] = DataLoader(
            clips, batch_sampler=batches, collate_fn=self._collator, pin_memory=self.args.dataloader_pin_memory
        )
        return self.accelerator.prepare(loader)


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compute the metrics that select the checkpoint, from logits `(clips, emotions)` and class indices."""
    logits = np.asarray(prediction.predictions)
    counts = confusion_matrix(
        np.asarray(prediction.label_ids).tolist(), logits.argmax(axis=-1).tolist(), range(logits.shape[1])
    )
    return summarize(counts)
