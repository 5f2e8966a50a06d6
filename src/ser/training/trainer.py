"""The Trainer of transformers with losses, samplers and metrics for emotion recognition."""

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
from ser.data.dataset import Numbers, WaveformDataset, scoring_batches
from ser.evaluation.metrics import confusion_matrix, cross_entropy, summarize
from ser.models.architectures import HEAD, depends_on_padding
from ser.models.outputs import softmax
from ser.training.alarms import OneClassAlarm
from ser.training.checkpointing import CheckpointingTrainer
from ser.training.losses import balanced_weights, classification_loss
from ser.training.samplers import EpochSampler, draw_epoch
from ser.training.throughput import PhaseTimer

log = logging.getLogger("ser")


class EmotionTrainer(CheckpointingTrainer):
    """Adds a learning rate for the head, losses for rare emotions, samplers, training accuracy, unpadded scoring."""

    data_collator: Any

    def __init__(self, *args: Any, options: config.Trainer, corpora: Numbers | None = None, **kwargs: Any) -> None:
        self._corpora = np.zeros(1, np.int64) if corpora is None else corpora  # as numbers
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
        """Create the optimizer with a separate learning rate for the head; weight decay is left to the Trainer."""
        optimizer = super().create_optimizer(*args)
        if self.options.head_learning_rate is not None:
            names = {id(parameter): name for name, parameter in self.model.named_parameters()}
            for group in list(optimizer.param_groups):
                head = [parameter for parameter in group["params"] if names[id(parameter)].startswith(HEAD)]
                group["params"] = [p for p in group["params"] if not names[id(p)].startswith(HEAD)]
                optimizer.add_param_group({**group, "params": head, "lr": self.options.head_learning_rate})
        return optimizer

    def training_labels(self) -> Numbers:
        """Return the class index of each training clip, `(clips,)`."""
        labels: Numbers = self.train_dataset.labels()
        return labels

    def sampling_groups(self) -> Numbers | None:
        """Return the group of each training clip whose groups are equally likely in an epoch; None: no such draw."""
        if not (self.options.balanced_sampling or self.options.balanced_corpora):
            return None
        groups = np.zeros(len(self.train_dataset), np.int64)
        if self.options.balanced_corpora:
            groups += self._corpora * self.model.config.num_labels
        if self.options.balanced_sampling:
            groups += self.training_labels()
        return groups

    def _get_train_sampler(self, *args: Any) -> Sampler[int] | None:
        """Return an EpochSampler for balanced sampling or bucketing, else the sampler of the Trainer."""
        groups = self.sampling_groups()
        if groups is None and not self.options.bucket_by_length:
            return super()._get_train_sampler(*args)
        draw_order = partial(
            draw_epoch,
            groups,
            self.train_dataset.lengths() if self.options.bucket_by_length else None,
            # Only the clips of one forward pass have similar lengths, not those of an optimizer step: 2 x 4 clips of
            # RAVDESS then have 5.0 emotions on average, against 4.8 with all 8 similar, and 5.2 at random.
            self.args.train_batch_size,
            self.args.seed if self.args.data_seed is None else self.args.data_seed,
        )
        # `state.epoch` is fractional, and is restored before a resumed run begins.
        return EpochSampler(len(self.train_dataset), draw_order, lambda: int(self.state.epoch or 0))

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Compute the loss, and count correct predictions on the device, without a synchronisation.

        Only training uses the objective of the config. Evaluation uses the model's cross-entropy, so that `eval_loss`
        is comparable between runs.
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

        The masks depend only on the seed, the epoch and the clips, so that a resumed run draws the same masks.
        """
        batch = self._collator(examples)
        if self.options.compile:
            batch = pad_to_fixed_length(batch, self._step, self.model.frames)
        if not uses_spec_augment(self.model):
            return batch
        mask = batch["attention_mask"]
        # A sum on the GPU would be synchronised; there, inputs are waveforms or CNN outputs, with known lengths.
        lengths = mask.sum(dim=-1) if mask.is_cpu else torch.tensor([example["samples"] for example in examples])
        seed = [self.args.seed, int(self.state.epoch or 0), *(example["clip"] for example in examples)]
        masks = draw_masks(self.model, lengths, mask.shape[1], seed)
        return {**batch, **{name: drawn.to(mask.device, non_blocking=True) for name, drawn in masks.items()}}

    def has_objective(self) -> bool:
        """Return whether training minimises another loss than the model's own."""
        options = self.options
        return self._class_weights is not None or options.focal_gamma > 0 or options.label_smoothing > 0

    def objective(self, model: Any, inputs: Any) -> tuple[torch.Tensor, Any]:
        """Return the training loss, a mean over the clips of the batch, and the outputs of the model."""
        # Without labels the model does not compute its own loss.
        outputs = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        options = self.options
        loss = classification_loss(
            outputs.logits, inputs["labels"], self._class_weights, options.focal_gamma, options.label_smoothing
        )
        return loss, outputs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the values, with the accuracy on the training clips since the last entry."""
        if "loss" in logs and self._seen:
            logs["accuracy"] = float(self._right) / self._seen
            self._right.zero_()
            self._seen = 0
        super().log(logs, start_time)

    def interval(self) -> dict[str, float]:
        """Return the sums since the last entry of the log, with the correct predictions and the time."""
        own = {"right": float(self._right), "seen": self._seen}
        return {**super().interval(), **own, "seconds": sum(timer.seconds() for timer in self.timers())}

    def go_on_with_interval(self, sums: dict[str, float]) -> None:
        """Restore the sums of `interval`."""
        super().go_on_with_interval(sums)
        self._right += sums["right"]
        self._seen += int(sums["seen"])
        for timer in self.timers():
            timer.count_from(sums["seconds"])

    def timers(self) -> list[PhaseTimer]:
        """Return the timer of the run; a trainer of a benchmark may have none."""
        return [callback for callback in self.callback_handler.callbacks if isinstance(callback, PhaseTimer)]

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Evaluate, with the loss as a mean over clips; the loss of transformers is a mean over batches of any size.

        Batches of clips of equal length are often small, and each would count as much as a full batch.
        """
        output = super().evaluation_loop(*args, **kwargs)
        logits = np.asarray(output.predictions)
        self._one_class.look(logits, self.args.learning_rate)
        shares, truth = softmax(logits), np.asarray(output.label_ids).tolist()
        output.metrics["eval_loss"] = cross_entropy(truth, shares, range(shares.shape[1]))
        return output

    def get_eval_dataloader(self, eval_dataset: WaveformDataset | None = None) -> DataLoader[Any]:
        """Return batches in order of clip length; all clips of a batch have one length if logits depend on padding.

        Only for one process: batch sizes differ, and accelerate shards and gathers only batches of one size.
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
