import errno
import os

import pyarrow as pa
import pytest
import soundfile
from conftest import tone, write_corpus
from helpers.shards import build, contents, count_decodes, in_use, write_old_file

from ser.corpora import ravdess
from ser.data import arrow_cache, decoding, engines, shards
from ser.errors import UserError

FIRST, OTHER = "Actor_01/03-01-05-01-01-01-01.wav", "Actor_02/03-01-05-01-01-01-02.wav"


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    """32 clips are 4 shards."""
    monkeypatch.setattr(shards, "MOST_ROWS", 8)


@pytest.fixture
def root(tmp_path):
    return write_corpus(tmp_path / "corpus", actors=[1, 2])


@pytest.fixture
def data(root, tmp_path):
    """A prepared folder."""
    build(root, tmp_path / "data")
    return tmp_path / "data"


def rebuilt(root, tmp_path):
    """What a preparation from nothing gives."""
    build(root, tmp_path / "fresh")
    return contents(tmp_path / "fresh")


def shard_files(data):
    return {path.name: path.read_bytes() for path in (data / "audio").iterdir()}


def test_nothing_is_written_where_nothing_changed(root, data):
    before = {path: path.stat().st_mtime_ns for path in (data / "audio").iterdir()}
    assert build(root, data)[1] == 0
    assert {path: path.stat().st_mtime_ns for path in (data / "audio").iterdir()} == before


def test_a_changed_file_replaces_the_rows_of_its_own_shard(root, data, tmp_path):
    before = shard_files(data)
    soundfile.write(root / FIRST, tone(0.4), 16000)
    clips, decoded = build(root, data)
    assert decoded == 1
    after = shard_files(data)
    assert set(in_use(data)) == {"00000.arrow", "00002.arrow", "00003.arrow", "00004.arrow"}
    assert all(after[name] == before[name] for name in after if name in before and name != "index.json")
    assert contents(data) == rebuilt(root, tmp_path)
    assert len(clips.samples(clips.select("path")["path"].to_pylist().index(FIRST))) == 6400


def test_a_removed_file_leaves_the_other_shards_as_they_are(root, data, tmp_path):
    (root / FIRST).unlink()
    assert build(root, data)[1] == 0
    assert in_use(data) == {"00000.arrow": 8, "00002.arrow": 8, "00003.arrow": 8, "00004.arrow": 7}
    assert contents(data) == rebuilt(root, tmp_path)


def test_a_shard_of_removed_files_is_dropped(root, data):
    for path in list(contents(data))[8:16]:
        (root / path).unlink()
    assert build(root, data)[1] == 0
    assert set(in_use(data)) == {"00000.arrow", "00002.arrow", "00003.arrow"} == set(shard_files(data)) - {"index.json"}


def test_new_files_go_into_shards_of_their_own_until_these_are_full(root, data, tmp_path):
    for number in range(1, 21):
        soundfile.write(root / "Actor_01" / f"03-01-05-02-01-01-{number:02}.wav", tone(0.2 + number / 100), 16000)
        assert build(root, data)[1] == 1
        assert sum(in_use(data).values()) == 32 + number
        assert len(in_use(data)) <= 2 * (32 + number) / 8 + 1  # a shard for each addition would be 24
        assert set(in_use(data)) == set(shard_files(data)) - {"index.json"}
    assert contents(data) == rebuilt(root, tmp_path)


def test_a_renamed_file_is_decoded_under_its_new_name(root, data, tmp_path):
    os.rename(root / FIRST, root / "Actor_01" / "03-01-05-02-01-01-01.wav")
    assert build(root, data)[1] == 1
    assert contents(data) == rebuilt(root, tmp_path)


def test_the_clips_are_in_the_order_of_the_recordings_whatever_that_of_the_shards_is(root, data):
    soundfile.write(root / FIRST, tone(0.4), 16000)
    clips, _ = build(root, data)
    assert clips.select("path")["path"].to_pylist() == [row.path for row in ravdess.scan(root).recordings]
    assert arrow_cache.open_cache(data).facts["path"].to_pylist() != clips.select("path")["path"].to_pylist()
    for index, row in enumerate(clips.select(*shards.FACTS).to_pylist()):
        assert contents(data)[row["path"]] == (row, clips.samples(index).tobytes())


@pytest.mark.parametrize("moment", range(0, 33))
def test_a_preparation_that_is_interrupted_goes_on_where_it_was(moment, root, tmp_path, monkeypatch):
    expected, data = rebuilt(root, tmp_path), tmp_path / "data"

    def interrupt(number):
        if number == moment:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engines, "in_threads", map)
        first = count_decodes(patch, interrupt)
        if moment < 32:
            with pytest.raises(KeyboardInterrupt):
                build(root, data)
        else:
            patch.setattr(shards, "write_index", lambda *_: interrupt(32))
            with pytest.raises(KeyboardInterrupt):
                build(root, data)
    whole = list((data / "audio").glob("*")) if data.exists() else []
    assert len(whole) == moment // 8  # nothing that is half-written
    second = count_decodes(monkeypatch)
    build(root, data)
    assert len(first) == moment
    assert len(second) == 32 - moment // 8 * 8
    assert contents(data) == expected
    assert in_use(data) == in_use(tmp_path / "fresh")


def test_an_interrupted_update_leaves_the_cache_in_use_as_it_was(root, data, tmp_path, monkeypatch):
    before = contents(data)
    for path in (FIRST, OTHER):
        soundfile.write(root / path, tone(0.4), 16000)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_index", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(root, data)
    assert contents(data) == before
    assert len(shard_files(data)) == 4 + 2 + 1
    decoded = count_decodes(monkeypatch)
    build(root, data)
    assert not decoded  # both shards were written
    assert contents(data) == rebuilt(root, tmp_path)
    assert set(in_use(data)) == set(shard_files(data)) - {"index.json"}


def test_shards_that_are_left_over_of_other_files_are_removed(root, data, monkeypatch):
    kept, state = (root / FIRST).read_bytes(), (root / FIRST).stat()
    soundfile.write(root / FIRST, tone(0.4), 16000)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_index", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(root, data)
    (root / FIRST).write_bytes(kept)
    os.utime(root / FIRST, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert build(root, data)[1] == 0
    assert set(shard_files(data)) == {*(f"0000{number}.arrow" for number in range(4)), "index.json"}


def test_the_temporary_folder_of_a_killed_preparation_is_removed(root, data):
    (data / "audio" / ".00004.arrow.abcdefgh.tmp").mkdir()
    (data / "audio" / ".00004.arrow.abcdefgh.tmp" / "new").write_bytes(b"half")
    build(root, data)
    assert len(shard_files(data)) == 5


def test_all_unusable_files_are_named_and_what_was_decoded_is_kept(root, data, tmp_path, monkeypatch):
    before = contents(data)
    (root / FIRST).write_bytes(b"")
    (root / OTHER).write_bytes(b"noise")
    soundfile.write(root / "Actor_01" / "03-01-05-02-01-01-01.wav", tone(0.4), 16000)
    with pytest.raises(UserError, match=r"2 unusable recordings: .*01\.wav: the file is empty; .*02\.wav: it cannot"):
        build(root, data)
    assert contents(data) == before
    (root / FIRST).unlink()
    (root / OTHER).unlink()
    decoded = count_decodes(monkeypatch)
    build(root, data)
    assert not decoded
    assert contents(data) == rebuilt(root, tmp_path)


def test_attempts_that_are_refused_leave_no_more_behind_than_one(root, data):
    (root / FIRST).write_bytes(b"")
    for number in range(1, 4):
        soundfile.write(root / "Actor_01" / f"03-01-05-02-01-01-{number:02}.wav", tone(0.4), 16000)
    for _ in range(3):
        with pytest.raises(UserError, match="1 unusable recordings"):
            build(root, data)
        assert len(shard_files(data)) == 1 + 4 + 2  # index, shards in use, and 8 and 2 recordings beside them


def test_a_file_that_vanished_is_named_among_the_unusable_ones(root, tmp_path):
    recordings = ravdess.scan(root).recordings
    (root / recordings[3].path).unlink()
    with pytest.raises(UserError, match=r"1 unusable recordings: Actor_01/.*: No such file"):
        decoding.build(root, recordings, tmp_path / "data")


def test_a_full_disk_leaves_the_cache_as_it_was_and_keeps_the_shards_before(root, tmp_path, monkeypatch):
    written, write = [], pa.OSFile

    def full(*arguments):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(arguments)
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pa, "OSFile", full)
        with pytest.raises(UserError, match=r"no space left on the disk for .*00002\.arrow"):
            build(root, tmp_path / "data")
    assert set(shard_files(tmp_path / "data")) == {"00000.arrow", "00001.arrow"}
    assert build(root, tmp_path / "data")[1] == 16


@pytest.mark.parametrize("damage", ["cut", "emptied", "removed"])
def test_the_rows_of_a_damaged_shard_alone_are_decoded_again(damage, root, data, tmp_path, caplog):
    path = data / "audio" / "00001.arrow"
    if damage == "removed":
        path.unlink()
    else:
        os.truncate(path, 0 if damage == "emptied" else path.stat().st_size // 2)
    assert build(root, data)[1] == 8
    what = "missing" if damage == "removed" else "damaged"
    assert f"00001.arrow: it is {what}; its recordings are decoded again" in caplog.text
    assert contents(data) == rebuilt(root, tmp_path)


def test_a_recording_whose_samples_are_damaged_is_decoded_again(root, data, tmp_path, caplog):
    path = data / "audio" / "00002.arrow"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    assert build(root, data)[1] == 1
    assert "00002.arrow: it is damaged (the samples of Actor_02/" in caplog.text
    assert contents(data) == rebuilt(root, tmp_path)


def test_a_damaged_shard_of_removed_files_is_no_longer_listed(root, data):
    for path in list(contents(data))[8:16]:
        (root / path).unlink()
    os.truncate(data / "audio" / "00001.arrow", 100)
    assert build(root, data)[1] == 0
    assert "00001.arrow" not in in_use(data)


def test_a_damaged_index_costs_no_decoding(root, data, tmp_path, caplog):
    (data / "audio" / "index.json").write_text("{")
    assert build(root, data)[1] == 0
    assert "index.json: it is damaged; the shards beside it are used" in caplog.text
    assert contents(data) == rebuilt(root, tmp_path)


def test_the_file_of_an_earlier_release_is_used_as_it_is(root, data):
    before = contents(data)
    write_old_file(data)
    content = (data / "audio.arrow").read_bytes()
    assert contents(data) == before
    assert build(root, data)[1] == 0
    assert [path.name for path in data.iterdir()] == ["audio.arrow"]
    assert (data / "audio.arrow").read_bytes() == content


def test_a_change_takes_over_the_file_of_an_earlier_release(root, data, tmp_path, monkeypatch):
    write_old_file(data)
    before = contents(data)
    soundfile.write(root / FIRST, tone(0.4), 16000)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_index", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(root, data)
    assert contents(data) == before
    assert build(root, data)[1] == 0
    assert [path.name for path in data.iterdir()] == ["audio"]
    assert contents(data) == rebuilt(root, tmp_path)


def test_a_shard_of_an_older_version_is_decoded_again_with_a_word(root, data, tmp_path, caplog):
    path = data / "audio" / "00000.arrow"
    with pa.memory_map(str(path)) as source:
        older = pa.ipc.open_stream(source).read_all().drop_columns(["decoder", "crc32"])
    with pa.OSFile(str(tmp_path / "older"), "wb") as file, pa.ipc.new_stream(file, older.schema) as writer:
        writer.write_table(older)
    os.replace(tmp_path / "older", path)
    with pytest.raises(UserError, match="an older version of ser decoded it; prepare the data again"):
        arrow_cache.open_cache(data)
    assert build(root, data)[1] == 8
    assert "an older version of ser decoded it; its recordings are decoded again" in caplog.text
    assert contents(data) == rebuilt(root, tmp_path)


def test_what_another_decoder_made_is_decoded_again(root, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(decoding, "DECODED_BY", "2 libsndfile-1.0 soxr-0.5")
    monkeypatch.setattr(arrow_cache, "DECODED_BY", "2 libsndfile-1.0 soxr-0.5")
    build(root, tmp_path)
    monkeypatch.undo()
    with caplog.at_level("INFO", "ser"):
        assert build(root, tmp_path)[1] == 32
    assert "decoded by 2 libsndfile-1.0 soxr-0.5, and again by" in caplog.text
    assert build(root, tmp_path)[1] == 0


def test_the_identities_of_many_files_are_columns_in_their_order(root, monkeypatch):
    monkeypatch.setattr("ser.rows.AT_ONCE", 5)
    recordings = ravdess.scan(root).recordings
    (root / recordings[6].path).unlink()
    files = decoding.file_identities(root, recordings)
    assert files["path"].to_pylist() == [row.path for row in recordings]
    assert files["size"].to_pylist()[6] == files["mtime_ns"].to_pylist()[6] == -1
    last = (root / recordings[31].path).stat()
    assert files.slice(31).to_pylist() == [
        {"path": recordings[31].path, "size": last.st_size, "mtime_ns": last.st_mtime_ns}
    ]
