import csv
import os

import pytest

from ser.errors import UserError
from ser.files import printable
from ser.inference.recordings import resolve


@pytest.fixture
def folder(tmp_path):
    for name in ("b.wav", "a.FLAC", "deep/er/c.mp3", "notes.txt", "deep/list.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("path\n")
    return tmp_path


def names(audio, root=None):
    return [found.name for found in resolve(str(audio), root)]


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
    beside = resolve(str(folder / "deep" / "list.csv"), None)
    assert [found.path for found in beside] == [folder / "deep" / "b.wav", folder / "deep" / "line\nbreak.wav"]
    assert resolve(str(folder / "deep" / "list.csv"), str(folder))[0].path == folder / "b.wav"


@pytest.mark.parametrize("row", ["../secret.wav", "/etc/passwd", "deep/../../secret.wav"])
def test_a_manifest_does_not_lead_out_of_its_root(row, folder):
    (folder / "list.csv").write_text(f"path\n{row}\n")
    with pytest.raises(UserError, match="leads out of"):
        resolve(str(folder / "list.csv"), None)


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
def test_missing_recordings_are_reported_in_one_line(name, reason, folder):
    (folder / "empty").mkdir()
    (folder / "list.csv").write_text("file\na.wav\n")
    (folder / "rows.csv").write_text("path\n")
    with pytest.raises(UserError, match=reason) as error:
        resolve(str(folder / name), None)
    assert "\n" not in str(error.value)


@pytest.fixture
def linked(folder):
    """Links to a file, to folders elsewhere, within and above, and to nothing."""
    elsewhere = folder / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "e.wav").touch()
    place = folder / "place"
    (place / "own").mkdir(parents=True)
    (place / "own" / "o.wav").touch()
    for name, target in {
        "away": "../elsewhere", "again": "own", "loop": ".", "up": "..", "file.wav": "../b.wav", "gone.wav": "nowhere",
    }.items():  # fmt: skip
        (place / name).symlink_to(target)
    (elsewhere / "back").symlink_to("../place")
    return place


def test_links_are_followed_once_and_one_that_leads_nowhere_is_named(linked):
    found = {found.name: found.error for found in resolve(str(linked), None)}
    assert found == {"away/deep/e.wav": "", "file.wav": "", "gone.wav": "the link leads nowhere", "own/o.wav": ""}


def test_the_recordings_of_a_linked_list_are_the_users_own(linked):
    (linked / "list.csv").write_text("path\naway/deep/e.wav\n")
    assert resolve(str(linked / "list.csv"), None)[0].path.is_file()
    (linked / "list.csv").write_text("path\naway/../b.wav\n")
    assert resolve(str(linked / "list.csv"), None)[0].error == "no such file", "not beside what the link leads to"


def test_a_name_that_begins_with_a_tilde_is_a_name(tmp_path, monkeypatch):
    (tmp_path / "~nobody.wav").touch()
    monkeypatch.chdir(tmp_path)
    assert names("~nobody.wav") == ["~nobody.wav"]


def test_what_no_recording_is_has_a_reason_instead_of_being_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert [(found.name, found.error) for found in resolve(str(tmp_path), None)] == [
        ("pipe.wav", "it is no regular file")
    ]
    with pytest.raises(UserError, match="a pipe, a socket or a device"):
        resolve(str(tmp_path / "pipe.wav"), None)


def test_a_folder_that_cannot_be_read_is_named(folder, monkeypatch):
    walk = os.walk

    def refusing(root, onerror, **options):
        for place, folders, files in walk(root, **options):
            if "deep" in folders:
                folders.remove("deep")
                onerror(PermissionError(13, "Permission denied", os.path.join(place, "deep")))
            yield place, folders, files

    monkeypatch.setattr(os, "walk", refusing)
    errors = {found.name: found.error for found in resolve(str(folder), None)}
    assert errors == {"a.FLAC": "", "b.wav": "", "deep": "the folder cannot be read: Permission denied"}


def test_side_files_of_macos_are_left_out_and_other_containers_are_named(folder, caplog):
    for name in ("._b.wav", "__MACOSX/deep/._c.wav", "__MACOSX/b.wav", "d.m4a", "d.WebM"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert names(folder) == ["a.FLAC", "b.wav", "deep/er/c.mp3"]
    assert "side files of macOS, which hold no audio: 3 .wav (._b.wav, __MACOSX/b.wav, __MACOSX/deep" in caplog.text
    assert "1 .m4a, 1 .webm (d.WebM, d.m4a)" in caplog.text


def test_a_folder_of_other_containers_is_refused_with_how_to_convert_them(tmp_path):
    (tmp_path / "a.m4a").touch()
    with pytest.raises(UserError, match=r"1 \.m4a \(a\.m4a\), which libsndfile does not decode; `ffmpeg -i IN\.m4a"):
        resolve(str(tmp_path), None)


@pytest.mark.parametrize("suffix", [".w64", ".au", ".caf", ".rf64", ".aifc"])
def test_every_container_that_can_be_decoded_is_found_in_a_folder(suffix, tmp_path):
    (tmp_path / f"a{suffix}").touch()
    assert names(tmp_path) == [f"a{suffix}"]


def test_rows_that_stand_twice_in_a_list_are_named_and_each_is_predicted(folder, caplog):
    (folder / "list.csv").write_text("path\nb.wav\nb.wav\nmissing.wav\n")
    found = resolve(str(folder / "list.csv"), None)
    assert [(one.name, one.error) for one in found] == [
        ("b.wav", ""), ("b.wav", ""), ("missing.wav", "no such file"),
    ]  # fmt: skip
    assert "names 1 recording more than once" in caplog.text


def test_a_name_is_shown_without_what_moves_a_terminal():
    assert printable("a\nb\x1b[31m\udcffé") == r"a\nb\x1b[31m\udcffé"
