import os
from pathlib import Path
from unittest.mock import patch

import pytest
import soundfile
from conftest import tone, write_corpus
from hypothesis import given
from hypothesis import strategies as st

from ser.corpora import file_names, ravdess
from ser.errors import UserError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_the_order_of_the_labels_is_alphabetical_and_complete():
    assert ravdess.EMOTIONS == ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
    assert set(ravdess.EMOTION_CODES.values()) == set(ravdess.EMOTIONS)


def test_the_seven_codes_are_read():
    row = ravdess.recording("Actor_12/03-01-06-02-01-02-12.wav")
    assert (row.emotion, row.intensity, row.statement, row.repetition) == ("fearful", "strong", "1", "2")
    assert (row.speaker, row.gender) == ("12", "female")
    assert ravdess.recording("03-01-01-01-01-01-07.wav").gender == "male"


@pytest.mark.parametrize("folder", ["", "Actor_05/", "a/b/c/"])
def test_any_layout_below_the_root_is_accepted(folder, tmp_path):
    touch(tmp_path, f"{folder}03-01-05-01-01-01-05.wav")
    assert [row.path for row in ravdess.scan(tmp_path).recordings] == [f"{folder}03-01-05-01-01-01-05.wav"]


def test_other_files_are_counted_and_left_out_with_a_reason(tmp_path):
    touch(
        tmp_path,
        "03-01-05-01-01-01-05.WAV",
        "song/03-02-05-01-01-01-05.wav",
        "02-01-05-01-01-01-05.mp4",
        "01-01-05-01-01-01-05.mp4",
        "README.txt",
        "interview.wav",
        "._03-01-05-01-01-01-05.wav",
    )
    scan = ravdess.scan(tmp_path)
    assert [row.path for row in scan.recordings] == ["03-01-05-01-01-01-05.WAV"]
    assert {reason: len(paths) for reason, paths in scan.left_out.items()} == {
        "song recordings": 1,
        "video files": 2,
        "files that are no audio": 1,
        "audio files not named as RAVDESS names them": 1,
        "hidden files": 1,
    }


def test_impossible_codes_are_named_all_at_once(tmp_path):
    touch(tmp_path, "03-01-09-01-01-01-05.wav", "03-01-05-01-01-01-25.wav", "03-01-01-02-01-01-05.wav")
    with pytest.raises(UserError) as error:
        ravdess.scan(tmp_path)
    message = str(error.value)
    assert "3 impossible names" in message
    assert "emotion 09" in message
    assert "actor 25" in message
    assert "neutral" in message


def test_the_second_copy_of_a_doubled_tree_is_left_out(tmp_path):
    write_corpus(tmp_path, actors=[3])
    write_corpus(tmp_path / "audio_speech_actors_01-24", actors=[3])
    scan = ravdess.scan(tmp_path)
    assert len(scan.recordings) == 16
    assert len(scan.left_out["second copies of a recording"]) == 16


def test_two_recordings_under_one_name_are_refused(tmp_path):
    for folder, seconds in (("a", 0.1), ("b", 0.2)):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "03-01-05-01-01-01-05.wav", tone(seconds), 16000)
    with pytest.raises(UserError, match="another recording"):
        ravdess.scan(tmp_path)


NAME = "03-01-05-01-01-01-05.wav"


def test_what_macos_puts_beside_recordings_is_left_out(tmp_path):
    touch(tmp_path, NAME, f"._{NAME}", f"__MACOSX/._{NAME}", "__MACOSX/readme.wav", ".DS_Store")
    scan = ravdess.scan(tmp_path)
    assert [row.path for row in scan.recordings] == [NAME]
    assert list(scan.left_out) == ["hidden files"]


def test_containers_that_are_not_read_are_named(tmp_path):
    touch(tmp_path, NAME, "a.m4a", "b.webm", "03-01-05-01-01-01-06.aac", "notes.txt")
    left_out = ravdess.scan(tmp_path).left_out
    assert len(left_out["audio or video files that are not read"]) == 3


@pytest.mark.parametrize("kind", ["w64", "au", "caf", "oga", "aifc"])
def test_containers_that_libsndfile_reads_are_recordings(kind, tmp_path):
    touch(tmp_path, f"03-01-05-01-01-01-05.{kind}")
    assert len(ravdess.scan(tmp_path).recordings) == 1


def test_links_to_folders_and_files_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path / "elsewhere", "Actor_05/03-01-05-01-01-01-05.wav", "Actor_06/03-01-05-01-01-01-06.wav")
    root = tmp_path / "root"
    touch(root, "Actor_07/03-01-05-01-01-01-07.wav")
    (root / "Actor_05").symlink_to(tmp_path / "elsewhere" / "Actor_05")
    (root / "Actor_06").mkdir()
    (root / "Actor_06" / "03-01-05-01-01-01-06.wav").symlink_to(
        tmp_path / "elsewhere" / "Actor_06" / "03-01-05-01-01-01-06.wav"
    )
    (root / "loop").symlink_to(root)
    (root / "Actor_07" / "up").symlink_to(tmp_path)
    (root / "gone").symlink_to(tmp_path / "nowhere")
    scan = ravdess.scan(root)
    assert [row.speaker for row in scan.recordings] == ["5", "6", "7"]
    assert scan.left_out == {"links that lead nowhere": ["gone"]}


def test_a_corpus_that_is_a_link_is_scanned(tmp_path):
    touch(tmp_path / "corpus", NAME)
    (tmp_path / "link").symlink_to(tmp_path / "corpus")
    assert len(ravdess.scan(tmp_path / "link").recordings) == 1


def test_a_pipe_with_the_name_of_a_recording_is_left_out_and_not_waited_for(tmp_path):
    touch(tmp_path, NAME)
    os.mkfifo(tmp_path / "03-01-05-01-01-01-06.wav")
    assert "pipes, sockets or devices" in ravdess.scan(tmp_path).left_out


def test_names_that_are_no_utf8_are_named_in_one_line_before_decoding(tmp_path):
    touch(tmp_path, NAME)
    (tmp_path / os.fsdecode(b"J\xf6rg.txt")).write_bytes(b"x")
    assert ravdess.scan(tmp_path).left_out == {"files that are no audio": [r"'J\udcf6rg.txt'"]}
    touch(tmp_path / os.fsdecode(b"J\xf6rg"), "03-01-05-01-01-01-06.wav")
    with pytest.raises(UserError, match=r"1 impossible names: 'J\\udcf6rg/.*' \(it holds bytes that are no UTF-8"):
        ravdess.scan(tmp_path)


PARTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), max_size=4), max_size=9).map("-".join)
CODES = st.lists(st.sampled_from(["01", "02", "03", "09", "25", "00", "٠١", "1", "001", ""]), max_size=9).map("-".join)
SUFFIXES = st.sampled_from([".wav", ".WAV", ".mp4", ".txt", "", ".", ".wav.wav", "\n.wav"])


@given(stem=st.one_of(PARTS, CODES, st.just("03-01-05-01-01-01-05\n")), suffix=SUFFIXES)
def test_no_name_of_a_file_breaks_the_scan(stem, suffix):
    name = (stem + suffix)[:80]
    try:
        with patch.object(file_names, "files_below", lambda _: [name]), patch.object(Path, "is_file", lambda _: True):
            scan = ravdess.scan(Path("nowhere"))
    except UserError as error:
        said = str(error)
    else:
        said = scan.summary()
        assert len(scan.recordings) + sum(map(len, scan.left_out.values())) == 1
        assert all(row.emotion in ravdess.EMOTIONS and 1 <= int(row.speaker) <= 24 for row in scan.recordings)
    assert "\n" not in said


def test_digits_of_other_scripts_are_no_codes(tmp_path):
    touch(tmp_path, NAME.replace("05", "٠٥"))
    assert "audio files not named as RAVDESS names them" in ravdess.scan(tmp_path).left_out
