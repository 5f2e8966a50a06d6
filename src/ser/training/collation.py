"""The batches of training: augmented clips, padding to fixed lengths, SpecAugment's masks."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ser.acceleration.compilation import STEP, pad_to_fixed_length, step_between_lengths
from ser.acceleration.spec_augment import draw_masks, uses_spec_augment
from ser.augmentation.draw import Augmenter
from ser.augmentation.mixing import mix

Batch = dict[str, torch.Tensor]

PARTNER_LABELS, PARTNER_SHARES = "partner_labels", "partner_shares"
"""Keys of a batch of mixed clips: the label of the clip that each was mixed with, and its share."""


class TrainingCollator:
    """Collates a batch of training from the seed, the epoch and the clips alone, so that a resumed run has the same."""

    def __init__(
        self,
        collator: Callable[[list[Any]], Batch],
        model: Any,
        seed: int,
        epoch: Callable[[], int],
        augmenter: Augmenter | None = None,
    ) -> None:
        """Store what a batch is made by.

        Args:
            collator: Pads and normalises clips, for validation as well.
            model: Its config asks for SpecAugment's masks.
            seed: Of the run.
            epoch: Returns the number of the epoch.
            augmenter: Draws the waveforms; None: those of the dataset.
        """
        self.collator, self.model, self.seed, self.epoch, self.augmenter = collator, model, seed, epoch, augmenter
        self._step: int | None = None

    def use_fixed_lengths(self, clips: Any) -> None:
        """Pad batches to at most eight lengths, for compiled graphs.

        Args:
            clips: The training clips.
        """
        lengths = clips.lengths()
        if self.augmenter is not None:
            shortest, longest = self.augmenter.length_range()
            lengths = np.append(np.arange(shortest, longest, STEP), longest)
        self._step = step_between_lengths(lengths)

    def lengths(self, clips: Any, epoch: int) -> Any:
        """Return the samples of each training clip in an epoch, `(clips,)`."""
        return clips.lengths() if self.augmenter is None else self.augmenter.lengths(epoch)

    def __call__(self, examples: list[Any]) -> Batch:
        """Collate examples of the training clips."""
        key = (self.seed, self.epoch(), *(example["clip"] for example in examples))
        batch = self.collator(examples) if self.augmenter is None else self.augment(self.augmenter, examples, key)
        if "weight" in examples[0]:
            batch["weights"] = torch.tensor([example["weight"] for example in examples])
        if self._step is not None:
            batch = pad_to_fixed_length(batch, self._step, self.model.frames)
        return self.add_masks(batch, examples, key) if uses_spec_augment(self.model) else batch

    def augment(self, augmenter: Augmenter, examples: list[Any], key: Sequence[int]) -> Batch:
        """Collate augmented clips; `key` decides what is mixed with what."""
        options, epoch = augmenter.options, key[1]
        waveforms = [augmenter.draw(example["samples"], example["clip"], epoch) for example in examples]
        mixes = options.mixup_alpha > 0 or options.cutmix_alpha > 0
        mixed = mix(waveforms, options, key) if mixes else None
        if mixed is not None:
            waveforms = mixed.waveforms
        batch = self.collator(
            [{**example, "samples": waveform} for example, waveform in zip(examples, waveforms, strict=True)]
        )
        if mixed is not None:
            batch[PARTNER_LABELS] = batch["labels"][mixed.partners]
            batch[PARTNER_SHARES] = torch.tensor(mixed.shares)
        return batch

    def add_masks(self, batch: Batch, examples: list[Any], key: Sequence[int]) -> Batch:
        """Add SpecAugment's masks, which depend on `key` alone."""
        mask = batch["attention_mask"]
        # A sum on the GPU would be synchronised; there, inputs are waveforms or CNN outputs, with known lengths.
        lengths = mask.sum(dim=-1) if mask.is_cpu else torch.tensor([example["samples"] for example in examples])
        masks = draw_masks(self.model, lengths, mask.shape[1], key)
        return {**batch, **{name: drawn.to(mask.device, non_blocking=True) for name, drawn in masks.items()}}
