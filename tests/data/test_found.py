import csv

import pytest

from ser.data.found import find, printable
from ser.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.wav", "a.FLAC", "deep/er/c.mp3", "notes.txt", "deep/list.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("path\n")
    return tmp_path


def names(audio, root=None):
    return [found.name for found in find(str(audio), root)]


def test_a_folder_is_searched_to_its_depths_for_audio_alone(folder):
    assert names(folder) == ["a.FLAC", "b.wav", "deep/er/c.mp3"]


def test_a_pattern_stands_for_the_files_that_match_it(folder):
    assert names(folder / "*.wav") == [str(folder / "b.wav")]
    assert names(folder / "**" / "*.mp3") == [str(folder / "deep/er/c.mp3")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "a[1]*.wav").touch()
    assert names(tmp_path / "a[1]*.wav") == ["a[1]*.wav"]


def test_the_rows_of_a_manifest_start_at_root_or_else_beside_it(folder):
    with (folder / "deep" / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "emotion"], ["b.wav", "calm"], ["line\nbreak.wav", "sad"]])
    beside = find(str(folder / "deep" / "list.csv"), None)
    assert [found.path for found in beside] == [folder / "deep" / "b.wav", folder / "deep" / "line\nbreak.wav"]
    assert find(str(folder / "deep" / "list.csv"), str(folder))[0].path == folder / "b.wav"


@pytest.mark.parametrize("row", ["../secret.wav", "/etc/passwd", "deep/../../secret.wav"])
def test_a_manifest_does_not_lead_out_of_its_root(row, folder):
    (folder / "list.csv").write_text(f"path\n{row}\n")
    with pytest.raises(UserError, match="leads out of"):
        find(str(folder / "list.csv"), None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.wav", "no such file or folder"),
        ("*.aiff", "no file matches"),
        ("empty", "no recording below it"),
        ("list.csv", "column 'path'"),
        ("rows.csv", "has no rows"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(name, reason, folder):
    (folder / "empty").mkdir()
    (folder / "list.csv").write_text("file\na.wav\n")
    (folder / "rows.csv").write_text("path\n")
    with pytest.raises(UserError, match=reason) as error:
        find(str(folder / name), None)
    assert "\n" not in str(error.value)


def test_a_name_is_shown_without_what_moves_a_terminal():
    assert printable("a\nb\x1b[31m\udcffé") == r"a\nb\x1b[31m\udcffé"
