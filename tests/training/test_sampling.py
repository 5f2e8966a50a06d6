from collections import Counter

import pytest

from ser.training.sampling import BalancedSampler, balanced_draw

# A rare emotion, a frequent one, and one (1) that does not occur.
LABELS = [0] * 900 + [2] * 100


def test_an_epoch_has_as_many_clips_as_the_list():
    drawn = balanced_draw(LABELS, seed=0, epoch=0)
    assert len(drawn) == len(BalancedSampler(LABELS, 0, lambda: 0)) == 1000
    assert set(drawn) <= set(range(1000))


def test_every_emotion_that_occurs_is_drawn_equally_often():
    drawn = Counter(LABELS[clip] for epoch in range(20) for clip in balanced_draw(LABELS, 0, epoch))
    # 20000 draws: a standard deviation of 71.
    assert drawn[0] == pytest.approx(10_000, abs=300)
    assert drawn[0] + drawn[2] == 20_000


def test_the_clips_of_one_emotion_are_drawn_equally_often():
    drawn = Counter(clip for epoch in range(200) for clip in balanced_draw([0] * 6 + [1] * 2, 0, epoch))
    # 1600 draws, a clip of the rare emotion expected 400 times (deviation 17), one of the other 133 times (11).
    assert [drawn[clip] for clip in range(6)] == pytest.approx([133] * 6, abs=50)
    assert [drawn[clip] for clip in (6, 7)] == pytest.approx([400] * 2, abs=75)


def test_the_same_seed_draws_the_same_epochs():
    assert balanced_draw(LABELS, seed=3, epoch=2) == balanced_draw(LABELS, seed=3, epoch=2)


def test_another_epoch_and_another_seed_draw_other_clips():
    drawn = {tuple(balanced_draw(LABELS, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(drawn) == 9


def test_the_sampler_draws_the_epoch_that_it_is_told_when_it_begins():
    now = iter([0, 5])
    sampler = BalancedSampler(LABELS, 0, lambda: next(now))
    assert list(sampler) == balanced_draw(LABELS, 0, 0)
    assert list(sampler) == balanced_draw(LABELS, 0, 5)
