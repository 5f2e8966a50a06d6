from dataclasses import replace

import pytest
from helpers.protocol_lists import emobox, paper, whole_corpus

from ser.config import Audit, Split
from ser.corpora import ravdess
from ser.data import audit, copies
from ser.data.manifest import Utterance
from ser.data.protocols import Splits, split_corpus
from ser.errors import UserError
from ser.rows import Rows


def splits_with_copies(*groups):
    """The splits of one fold, in which the first rows of some splits have equal samples, group by group."""
    splits = split_corpus(whole_corpus(), emobox(1))
    rows = {split: list(splits.get(split)) for split in Split}
    for number, group in enumerate(groups):
        for split in group:
            place = next(place for place, row in enumerate(rows[split]) if not row.sha256)
            rows[split][place] = replace(rows[split][place], sha256=f"{number + 1:064x}"[::-1])
    return Splits(**{split.value: Rows.of(Utterance, found) for split, found in rows.items()})


def paths_of(splits, split, number=1):
    return [row.path for row in splits.get(split)][:number]


def test_copies_in_two_splits_are_named_with_their_splits():
    splits = splits_with_copies([Split.test, Split.train], [Split.train, Split.train])
    (test,), (train,) = paths_of(splits, Split.test), paths_of(splits, Split.train)
    first, second = sorted([(test, "test"), (train, "train")])
    sentence = f"Leak: {first[0]} ({first[1]}) and {second[0]} ({second[1]}) are the same recording."
    assert audit.describe_leaks(splits, Split.test, []) == [sentence]
    assert audit.describe_leaks(splits, Split.validation, []) == []
    assert audit.count_overlap(splits, [])["copies_on_both_sides"] == [[first[0], second[0]]]


def test_the_audit_warns_of_copies_on_both_sides_and_goes_on(caplog):
    splits = splits_with_copies([Split.test, Split.train])
    with caplog.at_level("WARNING", "ser"):
        audit.check_leaks([splits], [], Audit.warn)
    assert " = ".join(sorted(paths_of(splits, Split.test) + paths_of(splits, Split.train))) in caplog.text


def test_a_strict_audit_refuses_copies_on_both_sides():
    splits = splits_with_copies([Split.test, Split.train])
    pair = sorted(paths_of(splits, Split.test) + paths_of(splits, Split.train))
    with pytest.raises(UserError, match=f"on_leak=strict: on both sides of the split: {pair[0]} = {pair[1]}"):
        audit.check_leaks([splits], [], Audit.strict)
    audit.check_leaks([splits_with_copies()], [], Audit.strict)


def test_leaks_that_are_not_listed_are_counted(monkeypatch, caplog):
    monkeypatch.setattr(copies, "LISTED_LEAKS", 30)
    splits = splits_with_copies([Split.test] * 40 + [Split.train])
    assert audit.describe_leaks(splits, Split.test, [])[30:] == ["Leak: 10 more pairs are the same recording."]
    found = audit.count_overlap(splits, [])
    assert (len(found["copies_on_both_sides"]), found["copies_on_both_sides_in_all"]) == (30, 40)
    with caplog.at_level("WARNING", "ser"):
        audit.check_leaks([splits], [], Audit.warn)
    assert caplog.text.count(" = ") == 20
    assert caplog.text.endswith("and at least 20 more\n")


def test_a_strict_audit_refuses_speakers_on_both_sides():
    with pytest.raises(UserError, match="speakers 1, 2, 3, "):
        audit.check_leaks([split_corpus(whole_corpus(), paper())], [], Audit.strict)


def test_audio_of_another_rate_or_length_contradicts_its_name():
    row = replace(whole_corpus()[0], sample_rate=48_000, duration=3.7)
    odd = [replace(row, path="rate.wav", sample_rate=16_000), replace(row, path="length.wav", duration=30.0)]
    assert audit.find_contradicting(Rows.of(Utterance, [row, *odd]), ravdess.SPEECH.format) == [
        "rate.wav",
        "length.wav",
    ]


def test_an_audit_of_before_is_described_by_its_groups():
    report = {key: [] for key in ("silent", "clipped", "too_short", "contradicting")}
    report |= {"identical": [["a", "b", "c"]], "copies": [{"files": ["d", "e"], "correlation": 0.97}]}
    assert audit.describe_oddities(report) == ["1 identical: a = b = c", "1 the same recording, changed: d ~ e (0.970)"]


def test_recordings_with_more_copies_than_were_looked_for_are_named():
    report = {key: [] for key in ("silent", "clipped", "too_short", "contradicting", "identical", "copies")}
    report["copies_in_part"] = ["a"]
    assert audit.describe_oddities(report) == ["1 with 20 copies, more were not looked for: a"]
