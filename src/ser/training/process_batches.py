"""The share of one process in each optimizer step, so that several processes compute the steps of a single one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import BatchSampler, Dataset, Sampler

from ser import config
from ser.errors import UserError

WeightedIndex = tuple[int, float]
"""The index of a clip, and the factor of its loss in the mean over the batch of its process."""


@dataclass(frozen=True)
class StepShare:
    """How the clips of an optimizer step are divided among processes.

    A recipe has `batch_size` clips in a forward pass and accumulates `accumulation` of them. Each of `processes`
    processes computes the same number of clips of a step, in `forwards` forward passes of `size` clips.
    """

    batch_size: int
    accumulation: int
    processes: int
    size: int
    forwards: int

    @classmethod
    def from_recipe(cls, trainer: config.Trainer, processes: int) -> "StepShare":
        """Divide the steps of a recipe; the number of clips of a step stays what it is.

        Raises:
            UserError: The clips of a step cannot be divided by the number of processes.
        """
        batch_size, accumulation = trainer.per_device_train_batch_size, trainer.gradient_accumulation_steps
        step = batch_size * accumulation
        if step % processes:
            choices = [str(number) for number in range(1, step + 1) if step % number == 0]
            raise UserError(
                f"trainer.per_device_train_batch_size={batch_size}, trainer.gradient_accumulation_steps="
                f"{accumulation}: {processes} processes cannot divide the {step} clips of an optimizer step; start "
                f"{' or '.join(choices)} of them, or change these keys"
            )
        share = step // processes
        size = max(number for number in range(1, batch_size + 1) if share % number == 0)
        return cls(batch_size, accumulation, processes, size, share // size)

    @property
    def step(self) -> int:
        """The number of clips of an optimizer step of all processes."""
        return self.batch_size * self.accumulation


class ProcessBatches(BatchSampler):
    """The batches of one process, from the order of the clips of an epoch that all processes have in common.

    Each step takes the next `StepShare.step` clips, a contiguous part for each process. The last step of an epoch may
    have fewer: they are divided as evenly as possible, and each clip has a weight with which the mean over processes
    and forward passes equals the loss of a single process, which averages its forward passes. A process without a clip
    in that step computes one with the weight 0, because all processes exchange gradients in every step.
    """

    def __init__(self, sampler: Sampler[int], share: StepShare, rank: int) -> None:
        """Store the sampler of the whole epoch, the division of a step and the number of this process."""
        self.sampler: Any = sampler
        self.share, self.rank = share, rank
        self.batch_size, self.drop_last = share.size, False

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.share.step)
        return whole * self.share.forwards + self._forwards(rest)

    def __iter__(self) -> Iterator[Any]:
        step: list[int] = []
        for index in self.sampler:
            step.append(int(index))
            if len(step) == self.share.step:
                yield from self._whole(step)
                step = []
        if step:
            yield from self._rest(step)

    def _whole(self, step: list[int]) -> Iterator[list[WeightedIndex]]:
        own = np.split(np.array(step), self.share.processes)[self.rank]
        for batch in np.split(own, self.share.forwards):
            yield [(index, 1.0) for index in batch.tolist()]

    def _forwards(self, clips: int) -> int:
        """Return the number of forward passes of every process in a step of fewer clips."""
        largest = -(-clips // self.share.processes)
        return -(-largest // self.share.size)

    def _rest(self, step: list[int]) -> Iterator[list[WeightedIndex]]:
        weights, forwards = single_process_weights(len(step), self.share.batch_size), self._forwards(len(step))
        places = np.array_split(np.arange(len(step)), self.share.processes)[self.rank]
        for batch in np.array_split(places, forwards):
            # Its mean is divided by the forward passes, and by the processes where gradients are averaged.
            factor = len(batch) * forwards * self.share.processes
            yield [(step[place], factor * weights[place]) for place in batch.tolist()] or [(step[0], 0.0)]


def single_process_weights(clips: int, batch_size: int) -> list[float]:
    """Return the weight of each clip in the loss of a single process, which is the mean of the means of its batches.

    >>> single_process_weights(3, 2)
    [0.25, 0.25, 0.5]
    """
    sizes = [min(batch_size, clips - start) for start in range(0, clips, batch_size)]
    return [1 / (len(sizes) * size) for size in sizes for _ in range(size)]


class WeightedClips(Dataset[Any]):
    """A dataset whose examples carry the weights that `ProcessBatches` gives."""

    def __init__(self, clips: Any) -> None:
        """Wrap a dataset of clips."""
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, item: WeightedIndex) -> dict[str, Any]:
        index, weight = item
        return {**self.clips[index], "weight": weight}
