import numpy as np
import pytest
from torch.utils.data import SequentialSampler

from ser.errors import UserError
from ser.training.process_batches import ProcessBatches, StepShare, WeightedClips, single_process_weights


class Recipe:
    def __init__(self, batch_size, accumulation):
        self.per_device_train_batch_size, self.gradient_accumulation_steps = batch_size, accumulation


def share_of(batch_size, accumulation, processes):
    return StepShare.from_recipe(Recipe(batch_size, accumulation), processes)


def batches_of(clips, share):
    """The batches of each process."""
    return [list(ProcessBatches(SequentialSampler(range(clips)), share, rank)) for rank in range(share.processes)]


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "processes", "size", "forwards"),
    [
        (4, 2, 1, 4, 2),
        (4, 2, 2, 4, 1),
        (8, 1, 2, 4, 1),
        (4, 4, 2, 4, 2),
        (6, 1, 3, 2, 1),
        (4, 3, 2, 3, 2),
        (5, 2, 2, 5, 1),
    ],
)
def test_the_clips_of_a_step_are_shared_out(batch_size, accumulation, processes, size, forwards):
    share = share_of(batch_size, accumulation, processes)
    assert (share.size, share.forwards) == (size, forwards)
    assert share.size * share.forwards * processes == batch_size * accumulation


def test_a_number_of_processes_that_does_not_divide_the_step_is_refused_with_those_that_do():
    with pytest.raises(UserError, match=r"3 processes cannot divide the 8 clips .* start 1 or 2 or 4 or 8 of them"):
        share_of(4, 2, 3)


CASES = [
    (clips, *recipe)
    for clips in (1, 2, 5, 7, 8, 13, 16, 23, 40)
    for recipe in [(4, 2, 2), (8, 1, 2), (4, 4, 2), (6, 1, 3), (4, 2, 8), (3, 4, 2), (2, 3, 6), (4, 2, 1)]
]


@pytest.mark.parametrize(("clips", "batch_size", "accumulation", "processes"), CASES)
def test_every_clip_counts_in_a_step_as_it_does_for_a_single_process(clips, batch_size, accumulation, processes):
    share = share_of(batch_size, accumulation, processes)
    step = share.step
    expected = [weight for start in range(0, clips, step) for weight in
                single_process_weights(min(step, clips - start), batch_size)]  # fmt: skip
    found = np.zeros(clips)
    for batches in batches_of(clips, share):
        for place, batch in enumerate(batches):
            # The Trainer divides by the forward passes of the step, and gradients are averaged over processes.
            first = place // share.forwards * share.forwards
            forwards = len(batches[first : first + share.forwards])
            for index, weight in batch:
                found[index] += weight / len(batch) / forwards / processes
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("clips", "batch_size", "accumulation", "processes"), CASES)
def test_all_processes_have_the_announced_number_of_batches_and_none_is_larger_than_planned(
    clips, batch_size, accumulation, processes
):
    share = share_of(batch_size, accumulation, processes)
    announced = len(ProcessBatches(SequentialSampler(range(clips)), share, 0))
    for batches in batches_of(clips, share):
        assert len(batches) == announced
        assert max(map(len, batches)) <= share.size


def test_an_epoch_has_the_steps_of_a_single_process():
    for clips in range(1, 60):
        share = share_of(4, 2, 2)
        batches = len(ProcessBatches(SequentialSampler(range(clips)), share, 0))
        assert -(-batches // share.forwards) == -(-clips // 8)


def test_an_example_carries_its_weight():
    clips = WeightedClips([{"label": 3}, {"label": 4}])
    assert clips[1, 0.5] == {"label": 4, "weight": 0.5}
    assert len(clips) == 2
