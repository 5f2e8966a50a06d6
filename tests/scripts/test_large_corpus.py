import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import composed, write_corpus

from ser.data.preparation import prepare

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def large_corpus(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import large_corpus

    return large_corpus


@pytest.fixture
def noise(tmp_path):
    """A corpus of 16 clips of 3 s of noise, named as RAVDESS."""
    root, chance = write_corpus(tmp_path / "corpus", actors=[1]), np.random.default_rng(0)
    for path in root.rglob("*.wav"):
        soundfile.write(path, chance.normal(0, 0.1, 48000), 16000)
    return root


def run(large_corpus, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["large_corpus.py", *map(str, words)])
    large_corpus.main()


def prepared(folder):
    cfg = composed("prepare_data", "corpus=table", f"corpus.table='{folder}/corpus.csv'", "protocol=random")
    return prepare(cfg.corpus, cfg.protocol, None, str(folder / "data"), cfg.on_leak)


def test_each_row_is_a_recording_of_its_own_and_the_planted_copies_are_found(
    large_corpus, noise, tmp_path, monkeypatch
):
    run(large_corpus, monkeypatch, "--rows", 100, "--root", noise, "--out", tmp_path / "large", "--copies", 0.1)
    report = prepared(tmp_path / "large")
    with (tmp_path / "large" / "copies.csv").open() as file:
        planted = {frozenset((row["path"], row["original"])): row["change"] for row in csv.DictReader(file)}
    found = {frozenset(group) for group in report["identical"]}
    found |= {frozenset(pair["files"]) for pair in report["copies"]}
    assert report["recordings"] == 100
    assert len(planted) == 10
    assert set(planted.values()) == {copy.name for copy in large_corpus.COPIES}
    assert found == set(planted)
    linked = [pair for pair, change in planted.items() if change == "link"]
    assert all(os.path.samefile(*(tmp_path / "large" / name for name in pair)) for pair in linked)


def test_brief_rows_are_parts_of_few_files_and_differ(large_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(large_corpus, "BRIEF_ROWS", 40)
    run(large_corpus, monkeypatch, "--rows", 100, "--brief", "--out", tmp_path / "large")
    assert len(list((tmp_path / "large" / "recordings").iterdir())) == 3
    report = prepared(tmp_path / "large")
    assert report["recordings"] == 100
    assert report["seconds"]["shortest"] == report["seconds"]["longest"] == 0.03
    assert [report[key] for key in ("identical", "copies", "silent", "clipped")] == [[]] * 4


@pytest.mark.parametrize(
    "words",
    [
        ("--rows", 0, "--brief"),
        ("--rows", 10),
        ("--rows", 10, "--root", "x", "--brief"),
        ("--rows", 10, "--brief", "--copies", 0.9),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(words, large_corpus, tmp_path, monkeypatch):
    with pytest.raises(SystemExit):
        run(large_corpus, monkeypatch, *words, "--out", tmp_path / "large")
    assert not (tmp_path / "large").exists()


def test_more_rows_than_the_clips_give_are_refused(large_corpus, noise, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="16 clips with enough speech give at most 3008 recordings"):
        run(large_corpus, monkeypatch, "--rows", 4000, "--root", noise, "--out", tmp_path / "large")
    assert not (tmp_path / "large").exists()
