import os

import pytest
from helpers.commands import ser

from ser.completion import complete_path, without_paths
from ser.config import Predict
from ser.config.paths import path_keys

PATHS = path_keys(Predict)


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    (tmp_path / "RAV DESS").mkdir()
    (tmp_path / "clip.wav").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("checkpoint=cl", ["checkpoint=clip.wav", "checkpoint=clips/"]),
        ("window=4 audio=clips", ["audio=clips/"]),
        ("--audio=clip.", ["--audio=clip.wav"]),
        ("checkpoint=RAV", []),
        ("checkpoint=x --audio cl", []),
        ("checkpoint=x --au", ["--audio"]),
        ("window=", None),
        ("", None),
    ],
)
def test_names_of_files_complete_a_path(line, words, here):
    assert complete_path(line.split(" "), PATHS) == words


def test_hydra_is_asked_about_the_other_words_only():
    assert without_paths(["--audio", "a=b", "window=4", "--root=x", "ensemble="], PATHS) == ["window=4", "ensemble="]


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("ser predict checkpoint=x --audio cl", ""),
        ("ser predict --audio clips checkpoint=cli", "checkpoint=clip.wav checkpoint=clips/"),
        ("ser predict --audio clips ens", "ensemble="),
        ("ser predict longest=3 ens", "ensemble="),
    ],
)
def test_tab_behind_a_path_prints_no_usage(line, printed, here):
    result = ser("-sc", "query=bash", env={**os.environ, "COMP_LINE": line}, cwd=here)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, printed, "")
