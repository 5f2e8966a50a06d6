import os

import numpy as np
import pytest
import soundfile
from conftest import tone, write_corpus

from ser.corpora import ravdess
from ser.data import audio, cache
from ser.errors import UserError


@pytest.fixture
def root(tmp_path):
    return write_corpus(tmp_path / "corpus", actors=[1, 2])


def build(root, path):
    return cache.build(root, ravdess.scan(root).recordings, path)


def test_a_clip_is_a_view_of_the_mapped_file_with_the_decoded_samples(root, tmp_path):
    build(root, tmp_path / "audio.arrow")
    held = cache.Cache(tmp_path / "audio.arrow")
    assert len(held) == 32
    for index, facts in enumerate(held.facts):
        samples = held.samples(index)
        assert not samples.flags.owndata
        assert not samples.flags.writeable
        assert np.array_equal(samples, audio.load(root / facts["path"]).samples)


def test_a_cache_of_several_chunks_gives_every_clip_its_own_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROWS_AT_A_TIME", 5)
    root = write_corpus(tmp_path / "corpus", actors=[1])
    build(root, tmp_path / "audio.arrow")
    held = cache.Cache(tmp_path / "audio.arrow")
    assert [len(held.samples(index)) for index in range(16)] == [
        len(audio.load(root / facts["path"]).samples) for facts in held.facts
    ]


def test_only_what_changed_is_decoded_again(root, tmp_path):
    path = tmp_path / "audio.arrow"
    assert build(root, path)[1] == 32
    before = path.stat().st_mtime_ns
    assert build(root, path)[1] == 0
    assert path.stat().st_mtime_ns == before
    changed = root / "Actor_01" / "03-01-05-01-01-01-01.wav"
    soundfile.write(changed, tone(0.4), 16000)
    (root / "Actor_02" / "03-01-05-01-01-01-02.wav").unlink()
    facts, decoded = build(root, path)
    assert (len(facts), decoded) == (31, 1)
    held = cache.Cache(path)
    row = [entry["path"] for entry in held.facts].index("Actor_01/03-01-05-01-01-01-01.wav")
    assert len(held.samples(row)) == 6400


def test_all_unusable_files_are_named_and_the_old_cache_stays(root, tmp_path):
    path = tmp_path / "audio.arrow"
    build(root, path)
    before = path.read_bytes()
    (root / "Actor_01" / "03-01-05-01-01-01-01.wav").write_bytes(b"")
    (root / "Actor_02" / "03-01-05-01-01-01-02.wav").write_bytes(b"noise")
    with pytest.raises(UserError, match=r"2 unusable recordings: .*01\.wav: the file is empty; .*02\.wav: it cannot"):
        build(root, path)
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["audio.arrow", "corpus"]


def test_the_cache_opens_as_a_dataset(root, tmp_path):
    import datasets

    build(root, tmp_path / "audio.arrow")
    rows = datasets.Dataset.from_file(str(tmp_path / "audio.arrow"))
    assert rows.num_rows == 32
    assert rows[0]["path"] == "Actor_01/03-01-01-01-01-01-01.wav"
