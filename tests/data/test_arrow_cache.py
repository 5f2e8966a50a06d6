import os

import numpy as np
import pytest
from conftest import write_corpus
from helpers.shards import build, write_old_file

from ser.data import arrow_cache, audio, parallel, shards
from ser.data.arrow_cache import UnusableCacheError, open_cache


@pytest.fixture
def root(tmp_path):
    return write_corpus(tmp_path / "corpus", actors=[1, 2])


@pytest.mark.parametrize("rows", [5, 1000])
@pytest.mark.parametrize("old", [False, True])
def test_a_clip_is_a_view_of_a_mapped_file_with_the_decoded_samples(rows, old, root, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MOST_ROWS", rows)
    build(root, tmp_path)
    if old:
        write_old_file(tmp_path)
    held = open_cache(tmp_path)
    assert len(held) == 32
    for index, path in enumerate(held.facts["path"].to_pylist()):
        samples = held.samples(index)
        assert not samples.flags.owndata
        assert not samples.flags.writeable
        assert np.array_equal(samples, audio.load(root / path).samples)


def test_the_facts_are_columns_of_the_mapped_files(root, tmp_path):
    build(root, tmp_path)
    import pyarrow as pa

    before = pa.total_allocated_bytes()
    facts = open_cache(tmp_path).facts
    assert facts.column_names == shards.FACTS
    assert facts.num_rows == 32
    assert pa.total_allocated_bytes() - before < 32 * 8  # nothing but the flags of a validation


def test_the_samples_of_a_damaged_recording_are_refused_with_the_names_of_it_and_its_shard(root, tmp_path):
    build(root, tmp_path)
    path = tmp_path / "audio" / "00000.arrow"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    held = open_cache(tmp_path)
    with pytest.raises(UnusableCacheError, match=r"00000\.arrow: it is damaged \(the samples of Actor_02/.*\); prep"):
        [held.samples(index) for index in range(32)]


def test_a_missing_shard_is_named(root, tmp_path):
    build(root, tmp_path)
    (tmp_path / "audio" / "00000.arrow").unlink()
    with pytest.raises(UnusableCacheError, match=r"00000\.arrow: it is missing; prepare the data again"):
        open_cache(tmp_path)


def test_a_folder_without_a_cache_is_refused(tmp_path):
    with pytest.raises(UnusableCacheError, match=r"index\.json: it is missing; prepare the data again"):
        open_cache(tmp_path)


def test_a_cache_that_is_prepared_again_while_it_is_opened_is_opened_as_it_is_now(root, tmp_path, monkeypatch):
    build(root, tmp_path)
    stale = {tmp_path / "audio" / "99999.arrow": 1}
    answers = [stale, shards.read_index(tmp_path), shards.read_index(tmp_path)]
    monkeypatch.setattr(arrow_cache, "read_index", lambda _: answers.pop(0))
    assert len(open_cache(tmp_path)) == 32


def test_a_cache_holds_the_files_that_were_decoded_and_no_others(root, tmp_path):
    from ser.corpora import ravdess
    from ser.data.decoding import file_identities

    build(root, tmp_path)
    held, recordings = open_cache(tmp_path), ravdess.scan(root).recordings
    assert held.holds(file_identities(root, recordings))
    assert held.holds(file_identities(root, recordings[::-1]))
    assert not held.holds(file_identities(root, recordings[1:]))
    os.utime(root / recordings[7].path, ns=(0, 0))
    assert not held.holds(file_identities(root, recordings))


def test_recordings_in_another_order_keep_their_facts_and_samples(root, tmp_path):
    clips, _ = build(root, tmp_path)
    turned = arrow_cache.put_in_order(clips, np.arange(32)[::-1])
    assert turned.select("path")["path"].to_pylist() == clips.select("path")["path"].to_pylist()[::-1]
    assert np.array_equal(turned.samples(3), clips.samples(28))
    assert arrow_cache.put_in_order(clips, np.arange(32)) is clips
    assert len(arrow_cache.put_in_order(clips, np.array([4, 2]))) == 2


def test_as_many_threads_run_as_there_are_cores_for_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    assert parallel.cores() == 2
