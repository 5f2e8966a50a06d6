from collections import Counter

import numpy as np
import pytest

from ser.training.samplers import EpochSampler, draw_balanced, draw_bucketed, draw_epoch

# A rare emotion, a frequent one, and one (1) that does not occur.
LABELS = [0] * 900 + [2] * 100


def test_an_epoch_has_as_many_clips_as_the_list():
    drawn = draw_balanced(LABELS, seed=0, epoch=0)
    assert len(drawn) == 1000
    assert set(drawn) <= set(range(1000))


def test_every_emotion_that_occurs_is_drawn_equally_often():
    drawn = Counter(LABELS[clip] for epoch in range(20) for clip in draw_balanced(LABELS, 0, epoch))
    # 20000 draws: a standard deviation of 71.
    assert drawn[0] == pytest.approx(10_000, abs=300)
    assert drawn[0] + drawn[2] == 20_000


def test_the_clips_of_one_emotion_are_drawn_equally_often():
    drawn = Counter(clip for epoch in range(200) for clip in draw_balanced([0] * 6 + [1] * 2, 0, epoch))
    # 1600 draws, a clip of the rare emotion expected 400 times (deviation 17), one of the other 133 times (11).
    assert [drawn[clip] for clip in range(6)] == pytest.approx([133] * 6, abs=50)
    assert [drawn[clip] for clip in (6, 7)] == pytest.approx([400] * 2, abs=75)


def test_the_same_seed_draws_the_same_epochs():
    assert draw_balanced(LABELS, seed=3, epoch=2).tolist() == draw_balanced(LABELS, seed=3, epoch=2).tolist()


def test_another_epoch_and_another_seed_draw_other_clips():
    drawn = {tuple(draw_balanced(LABELS, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(drawn) == 9


def test_the_sampler_reads_the_epoch_at_its_start():
    now = iter([0, 5])
    sampler = EpochSampler(3, lambda epoch: [epoch, 1, 2], lambda: next(now))
    assert len(sampler) == 3
    assert list(sampler) == [0, 1, 2]
    assert list(sampler) == [5, 1, 2]


def recorded(clips):
    """Samples of clips that were cut at video frames, 30 a second, as those of RAVDESS were: 2.9 to 5.3 s."""
    seconds = np.random.default_rng(0).normal(3.7, 0.4, clips).clip(2.94, 5.27)
    return (np.ceil(seconds * 30) / 30 * 16_000).astype(int).tolist()


LENGTHS = recorded(1152)


def padding(lengths, order, batch_size):
    """The share of samples that is padding where every `batch_size` clips are padded to the longest of them."""
    batches = [[lengths[clip] for clip in order[at : at + batch_size]] for at in range(0, len(order), batch_size)]
    return 1 - sum(map(sum, batches)) / sum(len(batch) * max(batch) for batch in batches)


@pytest.mark.parametrize("batch_size", [4, 8, 16])
def test_less_than_one_in_a_hundred_samples_is_padding(batch_size):
    assert padding(LENGTHS, range(1152), batch_size) > 0.07
    assert all(padding(LENGTHS, draw_bucketed(LENGTHS, batch_size, 0, epoch), batch_size) < 0.01 for epoch in range(10))


@pytest.mark.parametrize("clips", [1, 3, 4, 5, 1149, 1152])
def test_a_bucketed_epoch_has_every_clip_once(clips):
    assert sorted(draw_bucketed(LENGTHS[:clips], 4, 0, 0)) == list(range(clips))


def test_a_batch_that_cannot_be_filled_comes_last_and_is_of_any_length():
    # Were it not last, every batch behind it would be cut between clips of unlike length.
    orders = [draw_bucketed(LENGTHS[:1149], 4, 0, epoch) for epoch in range(30)]
    assert all(padding(LENGTHS, order, 4) < 0.01 for order in orders)
    last = [LENGTHS[order[-1]] for order in orders]
    middle = np.median(LENGTHS)
    assert min(last) < middle < max(last)


def test_another_epoch_and_another_seed_bucket_otherwise():
    orders = {tuple(draw_bucketed(LENGTHS, 4, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert draw_bucketed(LENGTHS, 4, seed=3, epoch=2).tolist() == draw_bucketed(LENGTHS, 4, seed=3, epoch=2).tolist()


def test_a_clip_shares_its_batch_with_others_each_epoch():
    orders = [draw_bucketed(LENGTHS, 4, 0, epoch) for epoch in range(2)]
    together = [{frozenset(order[at : at + 4]) for at in range(0, 1152, 4)} for order in orders]
    assert len(together[0] & together[1]) < 15  # of 288; the longest clips have few others of like length


def test_an_epoch_goes_neither_up_nor_down_in_length():
    first = [LENGTHS[draw_bucketed(LENGTHS, 4, 0, epoch)[0]] for epoch in range(10)]
    assert min(first) < np.median(LENGTHS) < max(first)
    first, second = np.array_split([LENGTHS[clip] for clip in draw_bucketed(LENGTHS, 4, 0, 0)], 2)
    # A standard deviation of 0.047 s between the means of two random halves of 144 batches.
    assert first.mean() == pytest.approx(second.mean(), abs=0.15 * 16_000)


def test_balanced_clips_are_put_together_by_length():
    labels = [0] * 1000 + [1] * 152
    drawn = draw_epoch(labels, LENGTHS, 4, seed=0, epoch=1)
    assert sorted(drawn) == sorted(draw_balanced(labels, seed=0, epoch=1))
    assert padding(LENGTHS, drawn, 4) < 0.01


def test_what_is_not_asked_for_does_not_change_a_draw():
    assert draw_epoch(LABELS, None, 4, seed=0, epoch=1).tolist() == draw_balanced(LABELS, seed=0, epoch=1).tolist()
    assert draw_epoch(None, LENGTHS, 4, seed=0, epoch=1).tolist() == draw_bucketed(LENGTHS, 4, seed=0, epoch=1).tolist()
