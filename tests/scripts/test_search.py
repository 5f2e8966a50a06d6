"""The search for settings: it goes by the validation split, and the test split cannot be seen."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import composed, write_corpus
from helpers.compositions import SMALL

from ser.commands.prepare_data import prepare_data
from ser.corpora.ravdess import EMOTION_CODES
from ser.errors import UserError

QUICK = (
    "protocol=emobox", "protocol.fold=1", *SMALL, "trainer=scratch", "trainer.max_steps=1",
    "trainer.learning_rate=tag(log,interval(1e-4,1e-1))", "trainer.weight_decay=0.01,0.1",
    "trainer.metric_for_best_model=loss",
)  # fmt: skip
TESTED = (1, 11, 20, 21)
"""The speakers that fold 1 tests."""


@pytest.fixture
def script(monkeypatch):
    pytest.importorskip("optuna", reason="the extra search is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scripts"))
    import search

    return search


def run(script, capsys, trials, *words):
    script.search(script.Search.from_words([*QUICK, *words]), trials, seed=0)
    return capsys.readouterr().out.splitlines()


def test_permuted_labels_of_the_test_split_change_nothing_and_a_study_goes_on(script, tmp_path, capsys):
    root = write_corpus(tmp_path / "corpus")
    printed = []
    for name in ("as it is", "swapped"):
        data = tmp_path / name
        if name == "swapped":
            permute_tested_labels(root)
        prepare_data(composed("prepare_data", f"root={root}", f"data_dir='{data}'"))
        words = (f"data_dir='{data}'", f"output_dir='{tmp_path}/search of {name}'")
        for trials in (1, 2):
            capsys.readouterr()
            lines = run(script, capsys, trials, *words)
            assert lines[0].startswith(f"{trials} trial")
        printed.append([line.replace(name, "") for line in lines])
    assert printed[0] == printed[1]
    first, metric, command, note = printed[0]
    assert re.fullmatch(r"2 trials in .*; the best is trial [01]:", first)
    assert re.match(r"loss 2\.\d{4} on the validation split \(32 clips, speakers ", metric)
    assert re.search(r"^ser train .*protocol=emobox .* trainer.learning_rate=\S+ trainer.weight_decay=0.\d+$", command)
    assert "output_dir" not in command
    assert note.startswith("The settings were chosen in fold 1: ")
    trial = tmp_path / "search of swapped" / "trial1"
    assert {path.name for path in trial.iterdir()} == {"config.yaml", "run.log", "train.csv", "validation.csv"}


def permute_tested_labels(root):
    """Give every recording of the tested speakers the emotion of another one."""
    codes = list(EMOTION_CODES)
    for speaker in TESTED:
        folder = root / f"Actor_{speaker:02d}"
        for path in folder.rename(root / "before").iterdir():
            modality, channel, emotion, rest = path.name.split("-", 3)
            other = codes[codes.index(emotion) - 1]
            (root / f"{modality}-{channel}-{other}-{rest}").write_bytes(path.read_bytes())
        shutil.rmtree(root / "before")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["protocol.fold=null"], "6 runs: give one fold and one seed"),
        (["protocol=paper", "protocol.fold=null"], "settings would be chosen on the test split"),
    ],
)
def test_what_would_choose_by_tested_clips_is_refused(script, data_dir, words, message):
    with pytest.raises(UserError, match=message):
        script.Search.from_words([*QUICK, f"data_dir='{data_dir}'", *words])


def test_a_range_has_to_be_given(script):
    with pytest.raises(UserError, match="nothing is searched"):
        script.Search.from_words(["model=tiny"])


def test_ranges_are_drawn_as_they_are_written(script, monkeypatch):
    import optuna
    from hydra.core.override_parser.overrides_parser import OverridesParser

    fixed = {"a": 0.00012345678, "b": 6, "c": r"x\ y"}
    trial = optuna.trial.FixedTrial(fixed)
    words = ["a=tag(log,interval(1e-5,1e-3))", "b=range(2,11,2)", "c=choice('x y',z)"]
    parsed = OverridesParser.create().parse_overrides(words)
    assert [script.suggest(trial, one) for one in parsed] == ["0.0001235", "6", r"x\ y"]
    assert trial.distributions["a"].log
    assert (trial.distributions["b"].low, trial.distributions["b"].high, trial.distributions["b"].step) == (2, 10, 2)
