import os
import random

import datasets
import numpy as np
import pytest
import soundfile
from conftest import tone, write_corpus

from ser.corpora import ravdess
from ser.data import arrow_cache, audio, parallel
from ser.errors import UserError


@pytest.fixture
def root(tmp_path):
    return write_corpus(tmp_path / "corpus", actors=[1, 2])


def build(root, path):
    return arrow_cache.build(root, ravdess.scan(root).recordings, path)


def test_a_clip_is_a_view_of_the_mapped_file_with_the_decoded_samples(root, tmp_path):
    build(root, tmp_path / "audio.arrow")
    held = arrow_cache.AudioCache(tmp_path / "audio.arrow")
    assert len(held) == 32
    for index, facts in enumerate(held.facts):
        samples = held.samples(index)
        assert not samples.flags.owndata
        assert not samples.flags.writeable
        assert np.array_equal(samples, audio.load(root / facts["path"]).samples)


def test_a_cache_of_several_chunks_gives_every_clip_its_own_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_cache, "ROWS_AT_A_TIME", 5)
    root = write_corpus(tmp_path / "corpus", actors=[1])
    build(root, tmp_path / "audio.arrow")
    held = arrow_cache.AudioCache(tmp_path / "audio.arrow")
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
    held = arrow_cache.AudioCache(path)
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
    build(root, tmp_path / "audio.arrow")
    rows = datasets.Dataset.from_file(str(tmp_path / "audio.arrow"))
    assert rows.num_rows == 32
    assert rows[0]["path"] == "Actor_01/03-01-01-01-01-01-01.wav"


def test_a_cache_of_an_older_version_is_decoded_again_with_a_word(root, tmp_path, caplog):
    path = tmp_path / "audio.arrow"
    build(root, path)
    older = {name: value for name, value in arrow_cache.FEATURES.items() if name not in ("decoder", "crc32")}
    table = datasets.Dataset.from_file(str(path)).to_dict()
    writer = arrow_cache.ArrowWriter(path=str(tmp_path / "older"), features=datasets.Features(older))
    for row in range(32):
        writer.write({name: table[name][row] for name in older})
    writer.finalize()
    os.replace(tmp_path / "older", path)
    with pytest.raises(UserError, match="an older version of ser decoded it; prepare the data again"):
        arrow_cache.AudioCache(path)
    assert build(root, path)[1] == 32
    assert "an older version of ser decoded it; all is decoded again" in caplog.text
    assert len(arrow_cache.AudioCache(path)) == 32


def test_what_another_decoder_made_is_decoded_again(root, tmp_path, monkeypatch):
    path = tmp_path / "audio.arrow"
    monkeypatch.setattr(arrow_cache, "DECODED_BY", "2 libsndfile-1.0 soxr-0.5")
    build(root, path)
    monkeypatch.undo()
    assert build(root, path)[1] == 32
    assert build(root, path)[1] == 0


def test_a_damaged_cache_is_never_used(root, tmp_path, caplog):
    path = tmp_path / "audio.arrow"
    build(root, path)
    whole, chance = path.read_bytes(), random.Random(0)
    good = [arrow_cache.AudioCache(path).samples(index).tobytes() for index in range(32)]
    cuts = [whole[: int(share * len(whole))] for share in (0, 0.01, 0.5, 0.9, 0.999)]
    flips = [bytearray(whole) for _ in range(40)]
    for copy in flips:
        copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
    for content in [*cuts, *flips]:
        path.write_bytes(content)
        try:
            held = arrow_cache.AudioCache(path)
            found = [held.samples(index).tobytes() for index in range(len(held))]
        except arrow_cache.UnusableCacheError as error:
            assert "prepare the data again" in str(error)  # noqa: PT017
        else:
            assert found == good[: len(found)]
    assert build(root, path)[1] == 32
    assert "it is damaged" in caplog.text


def test_a_file_that_cannot_be_opened_is_named_among_the_unusable_ones(root, tmp_path):
    recordings = ravdess.scan(root).recordings
    gone = root / recordings[3].path
    files = arrow_cache.file_identities(root, recordings)
    gone.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_cache, "file_identities", lambda *_: files)
        with pytest.raises(UserError, match=r"1 unusable recordings: Actor_01/.*: No such file"):
            arrow_cache.build(root, recordings, tmp_path / "audio.arrow")


def test_as_many_threads_run_as_there_are_cores_for_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    assert parallel.cores() == 2
