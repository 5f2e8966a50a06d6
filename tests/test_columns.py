import numpy as np
import pyarrow as pa
import pytest

from ser import columns
from ser.columns import match_texts

PATHS = [f"clip {number}.wav" for number in range(11)]


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch):
    monkeypatch.setattr(columns, "LOOKED_UP", 4)


@pytest.mark.parametrize("wrap", [pa.array, lambda texts, kind: pa.chunked_array([texts[:3], texts[3:]], kind)])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_texts_are_found_wherever_and_however_they_are_stored(kind, wrap):
    among = wrap(PATHS, kind)
    for looked_up in (PATHS, PATHS[::-1], [PATHS[7], "another", PATHS[7], PATHS[0]], []):
        expected = [PATHS.index(path) if path in PATHS else -1 for path in looked_up]
        assert match_texts(pa.array(looked_up, pa.string()), among).tolist() == expected
        assert match_texts(pa.chunked_array([looked_up], pa.large_string()), among).tolist() == expected


def test_nothing_is_found_among_no_texts():
    assert match_texts(pa.array(PATHS), pa.array([], pa.string())).tolist() == [-1] * len(PATHS)


def test_of_texts_in_the_same_order_no_table_of_hashes_is_made(monkeypatch):
    monkeypatch.setattr(columns.pc, "index_in", None)
    assert np.array_equal(match_texts(pa.array(PATHS), pa.array(PATHS, pa.large_string())), np.arange(len(PATHS)))


def test_a_million_texts_are_never_hashed_at_once(monkeypatch):
    sizes, real = [], columns.pc.index_in
    monkeypatch.setattr(
        columns.pc, "index_in", lambda texts, value_set: (sizes.append(len(value_set)), real(texts, value_set))[1]
    )
    match_texts(pa.array(PATHS[::-1]), pa.array(PATHS))
    assert sizes == [4, 4, 3]
