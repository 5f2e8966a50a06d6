import pytest
import soundfile
from conftest import tone, write_corpus

from ser.corpora import ravdess
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
