import os
import random

import datasets
import pytest
from conftest import write_corpus
from helpers.shards import build

from ser.data import shards


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A prepared folder of 32 clips in 4 shards."""
    monkeypatch.setattr(shards, "MOST_ROWS", 9)
    build(write_corpus(tmp_path / "corpus", actors=[1, 2]), tmp_path / "data")
    return tmp_path / "data"


def test_a_shard_has_no_more_rows_than_it_may(folder):
    assert list(shards.read_index(folder).values()) == [9, 9, 9, 5]


def test_a_shard_ends_where_its_samples_are_large(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MOST_BYTES", 3 * 8000)  # a clip has 0.3 s
    build(write_corpus(tmp_path / "corpus", actors=[1]), tmp_path / "data")
    assert set(shards.read_index(tmp_path / "data").values()) == {3, 1}


def test_the_shards_open_as_a_dataset_without_a_copy_and_as_one_table(folder, tmp_path):
    paths = [str(path) for path in shards.read_index(folder)]
    mapped = datasets.concatenate_datasets([datasets.Dataset.from_file(path) for path in paths])
    loaded = datasets.load_dataset(
        "arrow", data_files=f"{folder}/audio/*.arrow", split="train", cache_dir=str(tmp_path / "hub")
    )
    for rows in (mapped, loaded):
        assert rows.num_rows == 32
        assert rows[0]["path"] == "Actor_01/03-01-01-01-01-01-01.wav"
        assert rows.features["samples"].feature.dtype == "int16"


def test_no_file_stays_open_so_that_thousands_of_shards_are_no_limit(folder):
    before = len(os.listdir("/proc/self/fd"))
    opened = [shards.Shard(path) for path in shards.read_index(folder)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(opened[0].samples(0)) > 0


def test_a_damaged_shard_is_refused_or_its_samples_are_found_to_be_others(folder):
    path, rows = next(iter(shards.read_index(folder).items()))
    whole, chance, good = path.read_bytes(), random.Random(0), shards.Shard(path)
    expected = [good.samples(row).tobytes() for row in range(rows)]
    cuts = [whole[: int(share * len(whole))] for share in (0, 0.01, 0.5, 0.9, 0.999)]
    flips = [bytearray(whole) for _ in range(200)]
    for copy in flips:
        copy[chance.randrange(len(copy) if chance.random() < 0.5 else 5000)] ^= 1 << chance.randrange(8)
    refused = 0
    for content in [*cuts, *flips]:
        path.with_name("other").write_bytes(content)
        try:
            shard = shards.Shard(path.with_name("other"), rows)
        except shards.UnusableCacheError as error:
            assert "prepare the data again" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert all(shard.samples(row).tobytes() == expected[row] for row in range(rows) if shard.is_whole(row))
    assert refused >= len(cuts)


def test_a_shard_with_fewer_rows_than_the_index_gives_is_damaged(folder):
    path = next(iter(shards.read_index(folder)))
    with pytest.raises(shards.UnusableCacheError, match=r"00000\.arrow: it is damaged; prepare the data again"):
        shards.Shard(path, 10)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards": {"../x.arrow": 3}}', '{"shards": {"00000.arrow": "9"}}'])
def test_an_index_that_lists_no_shards_is_damaged(text, folder):
    (folder / "audio" / "index.json").write_text(text)
    with pytest.raises(shards.UnusableCacheError, match=r"index\.json: it is damaged; prepare the data again"):
        shards.read_index(folder)
