import pickle
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from ser.data.manifest import Utterance, map_columns, write_columns
from ser.rows import AT_ONCE, Rows


@dataclass(frozen=True)
class Clip:
    path: str = field(metadata={"distinct": True})
    emotion: str
    speaker: str = ""
    seconds: float = 0.0
    rate: int = 0


CLIPS = [
    Clip("b.wav", "sad", "10", 1.5, 16_000),
    Clip("a.wav", "angry", "2", 0.25, 8000),
    Clip("ü/c.wav", "sad", "10", 2.0, 16_000),
    Clip("d.wav", "happy", "2", 1.5, 44_100),
]


@pytest.fixture
def clips():
    return Rows.of(Clip, CLIPS)


def test_rows_are_the_sequence_that_was_stored(clips):
    assert list(clips) == CLIPS
    assert clips == CLIPS
    assert clips != CLIPS[:3]
    assert clips != [*CLIPS[:3], Clip("d.wav", "sad")]
    assert [clips[0], clips[-1]] == [CLIPS[0], CLIPS[-1]]
    assert clips[1:3] == CLIPS[1:3]
    assert clips + clips[:1] == [*CLIPS, CLIPS[0]]
    with pytest.raises(IndexError):
        clips[4]


def test_more_rows_than_exist_at_a_time_keep_their_order():
    many = [Clip(f"{number}.wav", "sad" if number % 3 else "calm", rate=number) for number in range(2 * AT_ONCE + 7)]
    stored = Rows.of(Clip, iter(many))
    assert stored == many
    assert stored.counts("emotion") == {"calm": 6669, "sad": 13_338}
    assert stored.take(np.array([AT_ONCE, 3, 2 * AT_ONCE])) == [many[AT_ONCE], many[3], many[2 * AT_ONCE]]


def test_no_rows_are_an_empty_sequence():
    empty = Rows.of(Clip, [])
    assert list(empty) == []
    assert not empty
    assert empty.distinct("emotion") == []
    assert empty.matches("emotion", ["sad"]).tolist() == []


def test_a_field_without_a_value_has_its_default_and_no_column(clips):
    plain = Rows.of(Clip, [Clip("a.wav", "sad")])
    assert not plain.has("speaker")
    assert plain[0] == Clip("a.wav", "sad")
    assert plain.texts("speaker").to_pylist() == [""]
    assert (plain + clips)[1:] == CLIPS


def test_texts_become_the_places_of_their_sorted_values(clips):
    codes, values = clips.codes("speaker")
    assert (codes.tolist(), values) == ([0, 1, 0, 1], ["10", "2"])
    codes, values = clips.codes("speaker", key=lambda speaker: speaker.zfill(3))
    assert (codes.tolist(), values) == ([1, 0, 1, 0], ["2", "10"])
    assert clips[:1].distinct("emotion") == ["sad"]  # those that occur


def test_values_that_become_one_are_counted_as_one(clips):
    alike = clips.replace(emotion=clips.map("emotion", lambda emotion: "sad" if emotion == "happy" else emotion))
    assert alike.counts("emotion") == {"angry": 1, "sad": 3}
    assert alike.map("emotion", str.upper).to_pylist() == ["SAD", "ANGRY", "SAD", "SAD"]
    assert clips.counts("emotion") == {"angry": 1, "happy": 1, "sad": 2}  # the rows themselves do not change


def test_a_part_of_a_part_is_taken_from_the_same_columns(clips):
    sad = clips.where(clips.matches("emotion", ["sad", "happy"]))
    assert sad == [CLIPS[0], CLIPS[2], CLIPS[3]]
    assert sad.where(sad.numbers("rate") > 16_000) == [CLIPS[3]]
    assert sad.numbers("seconds").tolist() == [1.5, 2.0, 1.5]
    assert clips.unique("speaker") == CLIPS[:2]


def test_rows_are_sorted_by_several_keys_and_equal_ones_keep_their_order(clips):
    assert clips.take(clips.order("path")) == [CLIPS[1], CLIPS[0], CLIPS[3], CLIPS[2]]
    by_length = clips.order(clips.numbers("seconds"))
    assert by_length.tolist() == [1, 0, 3, 2]
    assert clips.order("emotion", clips.numbers("rate")).tolist() == [1, 3, 0, 2]


def test_texts_are_ordered_as_python_orders_them():
    names = ["Z.wav", "a.wav", "é.wav", "日.wav", "😀.wav", "\uffff.wav", "a b.wav"]
    rows = Rows.of(Clip, [Clip(name, "sad") for name in names])
    assert [row.path for row in rows.take(rows.order("path"))] == sorted(names)


def test_a_part_takes_an_index_and_no_copy_of_the_columns():
    many = Rows.of(Clip, [Clip(f"{'long' * 20}{number}.wav", "sad") for number in range(20_000)])
    before = pa.total_allocated_bytes()
    part = many.where(np.arange(20_000) % 2 == 0)
    assert len(part) == 10_000
    assert pa.total_allocated_bytes() - before < 100_000


def test_a_manifest_of_columns_is_mapped_and_equal(tmp_path):
    rows = [
        Utterance(f"{number}.wav", "sad", f"s{number % 3}", duration=number / 7, sample_rate=16_000, channels=1)
        for number in range(100)
    ]
    write_columns(tmp_path / "manifest.arrow", Rows.of(Utterance, rows))
    before = pa.total_allocated_bytes()
    mapped = map_columns(tmp_path / "manifest.arrow")
    assert pa.total_allocated_bytes() - before < 1000
    assert mapped == rows


def test_rows_are_sent_to_another_process(clips):
    assert pickle.loads(pickle.dumps(clips)) == CLIPS
