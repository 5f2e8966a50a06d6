from pathlib import Path

import pytest

from ser.errors import UserError
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.recordings import Recording
from ser.inference.timeline_folder import file_name, reserve_timelines

RECORDINGS = [Recording("a.wav", Path("a.wav"))]


def draw(folder, recordings=RECORDINGS, overwrite=False):
    prediction = Prediction("up", {"up": 0.75, "down": 0.25})
    with reserve_timelines(str(folder), recordings, overwrite) as timelines:
        for one in recordings:
            windows = [WindowPrediction(one.name, start, start + 1, prediction) for start in (0, 1)]
            timelines.draw(one, windows, ["up", "down"])


def test_a_picture_that_is_there_stays_unless_it_may_be_overwritten(tmp_path):
    (tmp_path / "a.wav.pdf").write_text("mine")
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(UserError, match=r"a\.wav\.pdf is there already; .*overwrite=true"):
        draw(tmp_path)
    assert (tmp_path / "a.wav.pdf").read_text() == "mine"
    draw(tmp_path, overwrite=True)
    assert (tmp_path / "a.wav.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_two_recordings_never_share_a_picture(tmp_path):
    found = [Recording("a/b.wav", Path("a/b.wav")), Recording("a_b.wav", Path("a_b.wav"))]
    with pytest.raises(UserError, match=r"a/b\.wav and a_b\.wav would both be called a_b\.wav"):
        draw(tmp_path / "t", found)
    assert not (tmp_path / "t").exists()


def test_a_recording_that_a_list_names_twice_has_one_picture(tmp_path):
    draw(tmp_path / "t", RECORDINGS * 2)
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["a.wav.pdf", "a.wav.png"]


def test_a_file_is_no_folder_for_pictures(tmp_path):
    (tmp_path / "t").write_text("mine")
    with pytest.raises(UserError, match="a file is here"):
        draw(tmp_path / "t", overwrite=True)
    assert (tmp_path / "t").read_text() == "mine"


def test_a_second_command_does_not_draw_into_the_same_folder(tmp_path):
    with (
        reserve_timelines(str(tmp_path / "t"), RECORDINGS, False),
        pytest.raises(UserError, match="another ser command writes there"),
    ):
        draw(tmp_path / "t")


def test_a_long_path_has_a_name_that_every_disk_takes(tmp_path):
    one, other = ("é" * 150 + "/" + "x" * 150 + end for end in "ab")
    assert file_name(one) != file_name(other)
    draw(tmp_path, [Recording(one, Path(one))])
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".pdf"}
