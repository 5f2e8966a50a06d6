"""The Trainer of transformers with losses, samplers and metrics for emotion recognition."""

import logging
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader  # type: ignore[import-untyped]
from torch.utils.data import DataLoader, Sampler

from ser import config, processes
from ser.acceleration.spec_augment import accept_masks
from ser.augmentation.draw import Augmenter
from ser.config import ClassWeights
from ser.data.batches import Numbers
from ser.models.architectures import HEAD
from ser.training.collation import PARTNER_LABELS, PARTNER_SHARES, TrainingCollator
from ser.training.distillation import Teachers
from ser.training.evaluating import EvaluatingTrainer
from ser.training.losses import Targets, balanced_weights, classification_loss, mixed_loss
from ser.training.process_batches import ProcessBatches, StepShare, WeightedClips
from ser.training.samplers import EpochSampler, draw_epoch
from ser.training.throughput import PhaseTimer

log = logging.getLogger("ser")


class EmotionTrainer(EvaluatingTrainer):
    """Adds a learning rate for the head, losses for rare emotions, samplers and training accuracy."""

    def __init__(
        self,
        *args: Any,
        options: config.Trainer,
        corpora: Numbers | None = None,
        augmenter: Augmenter | None = None,
        teachers: Teachers | None = None,
        **kwargs: Any,
    ) -> None:
        self._teachers = teachers
        self._corpora = np.zeros(1, np.int64) if corpora is None else corpora  # as numbers
        super().__init__(*args, options=options, **kwargs)
        self.data_collator = TrainingCollator(self._collator, self.model, self.args.seed, self.epoch, augmenter)
        accept_masks(self.model)
        if (visible := torch.cuda.device_count()) > 1 and self.args.world_size == 1:
            log.info("%d GPUs are visible and one trains; choose it with CUDA_VISIBLE_DEVICES", visible)
        self._class_weights = (
            balanced_weights(self.training_labels(), self.model.config.num_labels).to(self.args.device)
            if options.class_weights is ClassWeights.balanced
            else None
        )
        if options.compile:
            self.data_collator.use_fixed_lengths(self.train_dataset)
        if teachers is not None:
            teachers.to(self.args.device)
        self._right = torch.zeros((), device=self.args.device)
        self._seen: Any = 0  # a tensor where clips have weights: a number would wait for the device
        self._batches = 0

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

    def epoch(self) -> int:
        """Return the number of the epoch, from 0; `state.epoch` is fractional, and is restored in a resumed run."""
        return int(self.state.epoch or 0)

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
        # Only the clips of one forward pass have similar lengths, not those of an optimizer step: 2 x 4 clips of
        # RAVDESS then have 5.0 emotions on average, against 4.8 with all 8 similar, and 5.2 at random.
        size = self.options.per_device_train_batch_size
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed

        def draw_order(epoch: int) -> Numbers:
            bucketed = self.options.bucket_by_length
            lengths = self.data_collator.lengths(self.train_dataset, epoch) if bucketed else None
            return draw_epoch(groups, lengths, size, seed, epoch)

        return EpochSampler(len(self.train_dataset), draw_order, self.epoch)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of this process; several processes share the clips of each optimizer step."""
        if self.args.world_size == 1:
            return super().get_train_dataloader()
        share = StepShare.from_recipe(self.options, self.args.world_size)
        sampler = self._get_train_sampler(self.train_dataset)
        assert sampler is not None
        loader: DataLoader[Any] = DataLoader(
            WeightedClips(self.train_dataset),
            batch_sampler=ProcessBatches(sampler, share, self.args.process_index),
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Prepared as for a single process, so that a random order is the one of a single process.
        prepared: DataLoader[Any] = prepare_data_loader(
            loader,
            device=self.args.device,
            num_processes=1,
            process_index=0,
            put_on_device=True,
            use_seedable_sampler=True,
            data_seed=self.args.data_seed,
            non_blocking=self.args.accelerator_config.non_blocking,
        )
        return prepared

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Compute the loss, and count correct predictions on the device, without a synchronisation.

        Only training uses the objective of the config. Evaluation uses the model's cross-entropy, so that `eval_loss`
        is comparable between runs.
        """
        weights = inputs.pop("weights", None)
        targets = Targets(inputs["labels"], weights, inputs.pop(PARTNER_LABELS, None), inputs.pop(PARTNER_SHARES, None))
        if model.training and (self.has_objective() or not targets.are_labels):
            loss, outputs = self.objective(model, inputs, targets)
        else:
            loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if model.training:
            right = outputs.logits.detach().argmax(dim=-1) == inputs["labels"]
            if weights is not None:
                right &= weights > 0
            self._right += right.sum()
            self._seen += len(right) if weights is None else weights.count_nonzero()
            self._batches += 1
        return (loss, outputs) if return_outputs else loss

    def has_objective(self) -> bool:
        """Return whether training minimises another loss than the model's own."""
        options = self.options
        reweighted = self._class_weights is not None or options.focal_gamma > 0 or options.label_smoothing > 0
        return reweighted or self._teachers is not None

    def objective(self, model: Any, inputs: Any, targets: Targets) -> tuple[torch.Tensor, Any]:
        """Return the training loss, a mean over the clips of the batch, and the outputs of the model."""
        # Without labels the model does not compute its own loss.
        outputs = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        options = self.options

        def loss(labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
            return classification_loss(
                outputs.logits, labels, self._class_weights, options.focal_gamma, options.label_smoothing, weights
            )

        mean = mixed_loss(loss, targets)
        if self._teachers is not None:
            probabilities = self._teachers.predict(inputs, self.accelerator.autocast())
            mean = self._teachers.combine(mean, outputs.logits, probabilities, targets.weights)
        return mean, outputs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the values, with the accuracy on the training clips since the last entry."""
        if "loss" in logs and self._batches:
            right, seen = processes.sum_of([float(self._right), float(self._seen)])
            logs["accuracy"] = right / seen
            self._right.zero_()
            self._seen = self._batches = 0
        super().log(logs, start_time)

    def interval(self) -> dict[str, float]:
        """Return the sums since the last entry of the log, with the correct predictions and the time."""
        right, seen = processes.sum_of([float(self._right), float(self._seen)])
        own = {"right": right, "seen": int(seen)}
        return {**super().interval(), **own, "seconds": sum(timer.seconds() for timer in self.timers())}

    def go_on_with_interval(self, sums: dict[str, float]) -> None:
        """Restore the sums of `interval`."""
        super().go_on_with_interval(sums)
        if self.is_world_process_zero():
            self._right += sums["right"]
            self._seen += int(sums["seen"])
        for timer in self.timers():
            timer.count_from(sums["seconds"])

    def timers(self) -> list[PhaseTimer]:
        """Return the timer of the run; a trainer of a benchmark may have none."""
        return [callback for callback in self.callback_handler.callbacks if isinstance(callback, PhaseTimer)]
