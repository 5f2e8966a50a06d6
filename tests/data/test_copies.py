from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

from ser.config import Split
from ser.corpora.synthetic import waveform
from ser.data import copies, duplicates
from ser.data.copies import find_identical, find_leaks, find_near_identical, near_pairs, pair_rows
from ser.data.manifest import Utterance
from ser.data.protocols import Splits
from ser.rows import Rows


def checksum(number):
    return f"{number:016x}" + "0" * 48


def row(path, number):
    return Utterance(path=path, emotion="sad", speaker="", sha256=checksum(number) if number else "")


def rows(**numbers):
    """Rows with checksums by their paths; 0: it is not known."""
    return Rows.of(Utterance, [row(path, number) for path, number in numbers.items()])


@dataclass
class Recordings:
    """Decoded recordings in memory."""

    facts: pa.Table
    clips: list

    def __len__(self):
        return len(self.clips)

    def select(self, *names):
        return self.facts.select(names)

    def samples(self, index):
        return self.clips[index]


def recordings(utterances, clips, rates=None):
    columns = {"path": [one.path for one in utterances], "sha256": [one.sha256 for one in utterances]}
    return Recordings(pa.table({**columns, "sample_rate": pa.array(rates or [16_000] * len(clips), pa.int32())}), clips)


@pytest.fixture(scope="module")
def takes():
    codes = [("01", "01"), ("04", "02"), ("05", "01")]
    return [np.rint(waveform(code, "01", text, "01", "01") * 32767).astype(np.int16) for code, text in codes]


def splits_of(train, test, validation=()):
    return Splits(*(Rows.of(Utterance, split) for split in (train, validation, test)))


def leaks(splits, pairs=(), scored=None):
    found, number = find_leaks(splits, list(pairs), scored)
    assert number == len(found)
    return [(*leak.paths, *(split.value for split in leak.splits)) for leak in found]


def test_recordings_with_equal_samples_are_grouped_in_the_order_of_the_manifest():
    assert find_identical(rows(a=5, b=7, c=1, d=7, e=5, f=7)) == {
        "identical": [["a", "e"], ["b", "d", "f"]],
        "identical_in_all": {"groups": 2, "recordings": 5},
    }


def test_recordings_without_a_checksum_are_not_called_equal():
    assert find_identical(rows(a=0, b=0))["identical"] == []


def test_equal_recordings_that_are_not_listed_are_counted(monkeypatch):
    monkeypatch.setattr(copies, "LISTED", 3)
    found = find_identical(rows(a=1, b=1, c=2, d=2, e=3, f=3))
    assert found == {"identical": [["a", "b"]], "identical_in_all": {"groups": 3, "recordings": 6}}


def test_one_of_equal_recordings_is_compared_with_others(takes, monkeypatch):
    fingerprints = []
    compute = duplicates.fingerprint
    monkeypatch.setattr(duplicates, "fingerprint", lambda samples: fingerprints.append(1) or compute(samples))
    utterances = rows(a=1, b=2, c=1, d=3, e=1)
    clips = recordings(utterances, [takes[0], takes[1], takes[0], -takes[0], takes[0]])
    (found,) = find_near_identical(clips, utterances)["copies"]
    assert found == {"files": ["a", "d"], "correlation": 1.0}
    assert len(fingerprints) == 3


def test_equal_samples_at_another_rate_are_another_recording(takes):
    utterances = rows(a=1, b=1, c=2)
    clips = recordings(utterances, [takes[0], takes[1], -takes[1]], rates=[16_000, 8000, 16_000])
    assert [found["files"] for found in find_near_identical(clips, utterances)["copies"]] == [["b", "c"]]


def test_a_recording_of_the_manifest_stands_for_those_that_were_left_out(takes):
    utterances = rows(a=1, b=2, c=1)
    clips = recordings(utterances, [takes[0], -takes[0], takes[0]])
    found = find_near_identical(clips, utterances[1:])
    assert [found["files"] for found in found["copies"]] == [["b", "c"]]
    assert near_pairs(found, utterances[1:]) == [(checksum(2), checksum(1))]


def test_a_recording_with_more_copies_than_are_looked_for_is_named(takes, monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_COPIES", 2)
    monkeypatch.setattr(copies, "MOST_COPIES", 2)
    utterances = rows(a=1, b=2, c=3)
    clips = recordings(utterances, [takes[0], -takes[0], np.rint(takes[0] / 2).astype(np.int16)])
    assert find_near_identical(clips, utterances)["copies_in_part"] == ["c"]


def test_a_copy_of_an_equal_recording_leaks_although_it_was_not_compared(takes):
    """`a` stands for `c` in the audit; `c` is trained on, and `a` is in no split."""
    utterances = rows(a=1, b=2, c=1)
    report = find_near_identical(recordings(utterances, [takes[0], -takes[0], takes[0]]), utterances)
    pairs = near_pairs(report, utterances)
    assert leaks(splits_of(train=[utterances[2]], test=[utterances[1]]), pairs) == [("b", "c", "test", "train")]


def test_copies_of_copies_leak():
    pairs = [(checksum(1), checksum(2)), (checksum(3), checksum(2)), (checksum(8), checksum(9))]
    splits = splits_of(train=rows(a=1, x=8), test=rows(c=3, y=4))
    assert leaks(splits, pairs) == [("a", "c", "train", "test")]


def test_each_recording_leaks_once_into_each_other_split():
    splits = splits_of(train=rows(a=1, b=1), test=rows(c=1, d=1), validation=rows(e=1))
    assert leaks(splits, scored=Split.test) == [
        ("a", "c", "train", "test"),
        ("a", "d", "train", "test"),
        ("b", "c", "train", "test"),
        ("c", "e", "test", "validation"),
        ("d", "e", "test", "validation"),
    ]
    assert len(leaks(splits)) == 7  # and a, b with e


def test_recordings_without_a_checksum_do_not_leak():
    assert leaks(splits_of(train=rows(a=0), test=rows(b=0))) == []


def test_leaks_of_one_recording_a_hundred_thousand_times_are_as_many_as_the_rows():
    one, other = np.full(60_000, 5, np.uint64), np.full(40_000, 5, np.uint64)
    pairs = pair_rows(one, other)
    assert len(pairs) == 99_999
    assert set(pairs[:, 0].tolist()) == set(range(60_000))
    assert set(pairs[:, 1].tolist()) == set(range(40_000))


def test_an_audit_of_before_gives_the_pairs_whose_samples_differ():
    report = {"identical": [["a", "b"]], "copies": [{"files": ["a", "c"]}, {"files": ["c", "gone"]}]}
    assert near_pairs(report, rows(a=1, b=1, c=2)) == [(checksum(1), checksum(2))]


def test_a_copy_is_found_where_another_row_changed_its_checksum_alone():
    """Two equal clips with differing checksums, as those of a file at another rate are."""
    utterances = rows(a=1, b=2)
    noise = np.random.default_rng(0).normal(0, 3000, 16_000).astype(np.int16)
    found = find_near_identical(recordings([utterances[0], replace(utterances[1])], [noise, noise.copy()]), utterances)
    assert [one["correlation"] for one in found["copies"]] == [1.0]
