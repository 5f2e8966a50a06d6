import itertools
import tracemalloc

import numpy as np
import pytest

from ser.corpora.synthetic import waveform
from ser.data import duplicate_index, duplicates
from ser.data.duplicate_index import TOKENS, find_neighbours
from ser.data.duplicates import find_duplicates, tokenize

CUT = 800  # 50 ms


@pytest.fixture(scope="module")
def takes():
    """Two takes of each of two sentences, in three emotions, by four speakers."""
    codes = itertools.product(("01", "04", "05"), ("01", "02"), ("01", "02"), ("01", "02", "03", "04"))
    return [np.rint(waveform(code[0], "01", *code[1:]) * 32767).astype(np.int16) for code in codes]


@pytest.fixture
def no_clip_is_few(monkeypatch):
    """Any number of clips goes through the index."""
    monkeypatch.setattr(duplicates, "ALL_PAIRS", 0)


def quieter(samples):
    return np.rint(samples / 4).astype(np.int16)


def noisy(samples, number):
    """A clip with white noise at -30 dB."""
    noise = np.random.default_rng(number).normal(0, samples.std() / 30, len(samples))
    return np.clip(np.rint(samples + noise), -32768, 32767).astype(np.int16)


def planted(takes):
    """The takes, and changed copies of all of them."""
    changes = [quieter, lambda samples: -samples, lambda samples: samples[CUT:], lambda samples: noisy(samples, 0)]
    return [*takes, *(changes[number % len(changes)](samples) for number, samples in enumerate(takes))]


def as_pairs(found):
    return [(duplicate.first, duplicate.second) for duplicate in found]


def test_the_index_finds_each_planted_copy_and_nothing_else(takes, no_clip_is_few):
    found = find_duplicates(planted(takes))
    assert as_pairs(found) == [(number, number + len(takes)) for number in range(len(takes))]


def test_the_index_and_all_pairs_give_equal_correlations(takes, monkeypatch):
    clips = planted(takes[:9])
    by_all_pairs = find_duplicates(clips)
    monkeypatch.setattr(duplicates, "compare_all", None)  # is not called below
    monkeypatch.setattr(duplicates, "ALL_PAIRS", len(clips) - 1)
    assert find_duplicates(clips) == by_all_pairs


def test_up_to_a_number_of_clips_all_pairs_are_compared(takes, monkeypatch):
    clips = planted(takes[:3])
    monkeypatch.setattr(duplicates, "search_index", None)
    monkeypatch.setattr(duplicates, "ALL_PAIRS", len(clips))
    assert len(find_duplicates(clips)) == 3


@pytest.mark.parametrize("clips", [[], [np.zeros(16_000, np.int16)] * 5, [np.ones(0, np.int16)] * 2])
def test_clips_that_hold_nothing_are_no_copies_by_the_index(clips, no_clip_is_few):
    assert find_duplicates(clips) == []


def test_the_index_leaves_out_clips_below_half_a_second(takes, no_clip_is_few):
    clips = [takes[0], takes[1][:7999], takes[2], -takes[1][:7999], -takes[0], takes[3][:8000], -takes[2]]
    assert as_pairs(find_duplicates(clips)) == [(0, 4), (2, 6)]


def test_one_clip_is_no_copy_by_the_index(takes, no_clip_is_few):
    assert find_duplicates(takes[:1]) == []


def correlated(fingerprints, correlation):
    """Other fingerprints of a given correlation with these."""
    noise = np.random.default_rng(1).normal(size=fingerprints.shape)
    return correlation * fingerprints + np.sqrt(1 - correlation**2) * noise


def as_tokens(fingerprints):
    chosen = duplicate_index.choose_values(fingerprints.shape[1])
    return np.stack([one[chosen].argmax(axis=1) for one in fingerprints]).astype(np.uint8)


def test_of_many_fingerprints_more_than_99_percent_of_the_correlated_pairs_are_found():
    originals = np.random.default_rng(0).normal(size=(3000, duplicates.VALUES))
    tokens = as_tokens(np.concatenate([originals, correlated(originals[:1000], 0.85)]))
    found = {tuple(pair) for pair in find_neighbours(tokens).tolist()}
    wanted = {(number, number + 3000) for number in range(1000)}
    assert len(wanted & found) > 990
    assert len(found - wanted) < 10


def test_the_index_takes_few_bytes_a_clip(monkeypatch):
    monkeypatch.setattr(duplicate_index, "ROWS_AT_A_TIME", 100)
    monkeypatch.setattr(duplicate_index, "ORDERS", 3)
    tokens = np.random.default_rng(0).integers(0, 32, (50_000, TOKENS), np.uint8)
    tracemalloc.start()
    try:
        find_neighbours(tokens)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / len(tokens) + TOKENS < 150


def test_the_tokens_of_a_clip_depend_on_nothing_that_a_copy_changes(takes):
    clips = [takes[0], quieter(takes[0]), -takes[0], np.pad(takes[0], (4000, 400)), takes[1]]
    _, tokens = tokenize(clips)
    shared = (tokens == tokens[0]).mean(axis=1)
    assert tokens.shape == (5, TOKENS)
    assert shared[1:4].min() > 0.8
    assert shared[4] < duplicate_index.SHARED / TOKENS


@pytest.mark.parametrize("limit", [0, 1000], ids=["index", "all pairs"])
def test_of_many_copies_of_one_clip_each_is_compared_with_a_few(limit, takes, monkeypatch):
    monkeypatch.setattr(duplicates, "ALL_PAIRS", limit)
    monkeypatch.setattr(duplicates, "MOST_COPIES", 2)
    compared = []
    correlate = duplicates.correlate
    monkeypatch.setattr(duplicates, "correlate", lambda *clips: compared.append(clips) or correlate(*clips))
    copies = [noisy(takes[0][:16_000], number) for number in range(60)]
    found = find_duplicates([*copies, takes[1]])
    assert {duplicate.second for duplicate in found} | {0} == set(range(60))
    assert len(compared) < 60 * 59 / 2 / 3
