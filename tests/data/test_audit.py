from dataclasses import replace

import pytest
from helpers.protocol_lists import emobox, paper, whole_corpus

from ser.config import Audit, Split
from ser.corpora import ravdess
from ser.data import audit
from ser.data.protocols import split_corpus
from ser.errors import UserError


def one_of(splits, split):
    return splits.get(split)[0].path


def test_copies_in_two_lists_are_named_with_their_sides():
    splits = split_corpus(whole_corpus(), emobox(1))
    test, train, validation = (one_of(splits, split) for split in (Split.test, Split.train, Split.validation))
    inside = (splits.train[0].path, splits.train[1].path)
    found = audit.describe_leaks(splits, Split.test, [(test, train), inside, (validation, train)])
    assert found == [f"Leak: {test} (test) and {train} (train) are the same recording."]
    assert audit.count_overlap(splits, [(test, train), inside])["copies_on_both_sides"] == [[test, train]]


def test_the_audit_warns_of_copies_on_both_sides_and_goes_on(caplog):
    splits = split_corpus(whole_corpus(), emobox(1))
    pair = (one_of(splits, Split.test), one_of(splits, Split.train))
    with caplog.at_level("WARNING", "ser"):
        audit.check_leaks([splits], [pair], Audit.warn)
    assert " = ".join(pair) in caplog.text


def test_a_strict_audit_refuses_copies_on_both_sides():
    splits = split_corpus(whole_corpus(), emobox(1))
    pair = (one_of(splits, Split.test), one_of(splits, Split.train))
    with pytest.raises(UserError, match=f"on_leak=strict: on both sides of the split: {pair[0]} = {pair[1]}"):
        audit.check_leaks([splits], [pair], Audit.strict)
    audit.check_leaks([splits], [], Audit.strict)


def test_a_strict_audit_refuses_speakers_on_both_sides():
    with pytest.raises(UserError, match="speakers 1, 2, 3, "):
        audit.check_leaks([split_corpus(whole_corpus(), paper())], [], Audit.strict)


def test_audio_of_another_rate_or_length_contradicts_its_name():
    row = replace(whole_corpus()[0], sample_rate=48_000, duration=3.7)
    odd = [replace(row, path="rate.wav", sample_rate=16_000), replace(row, path="length.wav", duration=30.0)]
    assert audit.find_contradicting([row, *odd], ravdess.SPEECH.format) == ["rate.wav", "length.wav"]


def test_identical_recordings_make_a_pair_of_each_two_of_them():
    report = {"identical": [["a", "b", "c"]], "copies": [{"files": ["d", "e"], "correlation": 0.97}]}
    assert audit.duplicate_pairs(report) == [("a", "b"), ("a", "c"), ("b", "c"), ("d", "e")]
