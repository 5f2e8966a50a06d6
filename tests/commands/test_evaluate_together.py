"""`ser evaluate` of runs with several folds, of ensembles, over perturbed copies, and calibrated."""

import csv
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import composed
from helpers.tiny_runs import run

from ser.checksums import hash_samples
from ser.commands.evaluate import SOMETIMES, WRITTEN, evaluate
from ser.config import Corpus
from ser.data.prepared_corpus import open_prepared
from ser.errors import UserError
from ser.evaluation.metrics import PROBABILITY_METRICS
from ser.models.outputs import scale_by_temperature
from ser.runs import finished

FOLDS = ("protocol=custom", "+protocol.test_speakers={1: [1, 2], 2: [3, 4, 5]}", "protocol.validation_speakers=2")


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory):
    """Two runs of two folds, one of two seeds, and three under other protocols."""
    folder = tmp_path_factory.mktemp("runs")
    run(data_dir, folder / "a", *FOLDS, "trainer.max_steps=2")
    run(data_dir, folder / "b", *FOLDS, "seed=1", "trainer.max_steps=1")
    run(data_dir, folder / "seeds", *FOLDS, "seeds=[2,3]", "trainer.max_steps=1")
    run(data_dir, folder / "drawn", "trainer.max_steps=1")
    run(data_dir, folder / "renamed", "protocol.name=renamed", "trainer.max_steps=1")
    run(data_dir, folder / "other", FOLDS[0], "+protocol.test_speakers={1: [1, 9]}", "trainer.max_steps=1")
    return folder


def score(data_dir, output, *checkpoints, words=()):
    given = ",".join(f"'{one}'" for one in checkpoints)
    words = (f"data_dir='{data_dir}'", f"output_dir='{output}'", "batch_size=16", *words)
    evaluate(composed("evaluate", f"checkpoint=[{given}]", *words))
    return json.loads((output / "classification_report.json").read_text())


def predicted(folder):
    """The probabilities of a predictions.csv, by path."""
    rows = pd.read_csv(folder / "predictions.csv").set_index("path")
    return rows[["angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]].sort_index()


@pytest.mark.parametrize("models", [False, True])
def test_a_run_of_several_folds_is_scored_fold_by_fold_as_its_own_report_says(models, runs, data_dir, tmp_path):
    """From stored predictions, or (another batch size apart) by its checkpoints."""
    if models:
        shutil.copytree(runs / "a", tmp_path / "a")
        for fold in ("fold1", "fold2"):
            (tmp_path / "a" / fold / "predictions.csv").unlink()
    report = score(data_dir, tmp_path / "out", (tmp_path if models else runs) / "a")
    own = finished.read(runs / "a").report
    for key in ("clips", "accuracy", "unweighted_average_recall", "intervals", "protocol", "in_words", "seed"):
        assert report[key] == own[key], key
    assert predicted(tmp_path / "out").to_numpy() == pytest.approx(predicted(runs / "a").to_numpy(), abs=1.1e-6)
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert {(row["seed"], row["fold"]) for row in rows} == {("0", "1"), ("0", "2")}
    assert [one["fold"] for one in report["spread"]["runs"]] == [1, 2]


def test_by_default_the_report_on_folds_lies_in_the_run(runs, data_dir, tmp_path):
    shutil.copytree(runs / "a", tmp_path / "a")
    evaluate(composed("evaluate", f"checkpoint='{tmp_path / 'a'}'", f"data_dir='{data_dir}'"))
    assert {path.name for path in (tmp_path / "a" / "evaluation-test").iterdir()} == set(WRITTEN)


def test_an_ensemble_of_runs_with_folds_is_the_mean_of_their_predictions(runs, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("ser.experiments.together.checkpoint.load", None)  # no model is needed
    report = score(data_dir, tmp_path / "out", runs / "a", runs / "b")
    mean = (predicted(runs / "a") + predicted(runs / "b")) / 2
    assert predicted(tmp_path / "out").to_numpy() == pytest.approx(mean.to_numpy(), abs=1.1e-6)
    assert report["model"] == "ensemble of 2 (tiny)"
    assert report["seed"] == [0, 1]
    assert report["in_words"].startswith("Ensemble of 2 members, the mean of their probabilities. Protocol custom, 2 f")
    assert report["speakers_are_new"]
    rows = {row["name"]: row for row in csv.DictReader((tmp_path / "out" / "members.csv").open())}
    for name in ("a", "b"):
        own = finished.read(runs / name).report
        assert float(rows[str(runs / name)]["unweighted_average_recall"]) == own["unweighted_average_recall"]
        difference = float(rows[str(runs / name)]["difference"])
        assert difference == pytest.approx(report["accuracy"] - own["accuracy"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="members"' in page
    assert "chosen on the test split" in page
    assert "chosen on the test split" in (tmp_path / "out" / "classification_report.txt").read_text()


def test_an_ensemble_of_single_checkpoints_is_predicted_by_them(runs, data_dir, tmp_path):
    score(data_dir, tmp_path / "out", runs / "a" / "fold1", runs / "b" / "fold1")
    mean = (predicted(runs / "a" / "fold1") + predicted(runs / "b" / "fold1")) / 2
    assert predicted(tmp_path / "out").to_numpy() == pytest.approx(mean.to_numpy(), abs=1e-5)


def test_the_seeds_of_a_run_are_an_ensemble(runs, data_dir, tmp_path):
    report = score(data_dir, tmp_path / "out", runs / "seeds")
    parts = [
        pd.concat([predicted(runs / "seeds" / f"seed{seed}-fold{fold}") for fold in (1, 2)]).sort_index()
        for seed in (2, 3)
    ]
    assert predicted(tmp_path / "out").to_numpy() == pytest.approx(sum(parts).to_numpy() / 2, abs=1.1e-6)
    assert report["seed"] == [2, 3]
    names = [row["name"] for row in csv.DictReader((tmp_path / "out" / "members.csv").open())]
    assert names == [f"{runs / 'seeds'} (seed {seed})" for seed in (2, 3)]


def test_a_vote_of_several_runs_is_scored(runs, data_dir, tmp_path):
    report = score(data_dir, tmp_path / "out", runs / "a", runs / "b", runs / "seeds", words=("ensemble=vote",))
    assert "Ensemble of 4 members, the shares of their votes." in report["in_words"]
    shares = predicted(tmp_path / "out").to_numpy()
    assert np.allclose(shares * 4, np.rint(shares * 4), atol=1e-4)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("a", "drawn"), r"drawn: it has the folds None, and .*a has 1, 2"),
        (("a/fold1", "a/fold2"), r"fold2: it has the folds 2, and .*fold1 has 1"),
        (
            ("a/fold1", "other/fold1"),
            r"other/fold1 \(fold 1\): its test split is sha256 \w+\.\.\., that of",
        ),
        (("drawn", "renamed"), r"renamed: its protocol is renamed, that of .*drawn is paper"),
        (("a", "a/../a"), r"belongs to .*a as well; give each once"),
    ],
)
def test_what_cannot_be_an_ensemble_is_named_in_a_line(pair, message, runs, data_dir, tmp_path):
    with pytest.raises(UserError, match=message):
        score(data_dir, tmp_path / "out", *(runs / name for name in pair))
    assert not (tmp_path / "out").exists()


def test_degraded_clips_of_all_folds_are_scored_together(runs, data_dir, tmp_path):
    score(data_dir, tmp_path / "out", runs / "a", runs / "b", words=("stress=true",))
    table = pd.read_csv(tmp_path / "out" / "stress.csv")
    assert set(table["clips"]) == {80}
    assert len(table) == 8
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*WRITTEN, *SOMETIMES}


def test_copies_of_clips_are_averaged_and_the_report_says_so(runs, data_dir, tmp_path):
    fold = runs / "a" / "fold1"
    alone = score(data_dir, tmp_path / "alone", fold, words=("test_time_copies=0",))
    report = score(data_dir, tmp_path / "copies", fold, words=("test_time_copies=2",))
    assert "mean of the probabilities of the clip and of 2 perturbed copies of it" in report["in_words"]
    assert report["in_words"].startswith(alone["in_words"])
    assert (tmp_path / "alone" / "predictions.csv").read_bytes() == (fold / "predictions.csv").read_bytes()
    difference = (predicted(tmp_path / "copies") - predicted(fold)).abs().to_numpy()
    assert 1e-5 < difference.max() < 0.5
    score(data_dir, tmp_path / "again", fold, words=("test_time_copies=2", "batch_size=3"))
    assert predicted(tmp_path / "again").to_numpy() == pytest.approx(
        predicted(tmp_path / "copies").to_numpy(), abs=2e-6
    )


def test_the_temperature_of_each_fold_comes_from_its_validation_split(runs, data_dir, tmp_path):
    report = score(data_dir, tmp_path / "out", runs / "a", words=("calibrate=true",))
    found = report["calibration"]
    own = finished.read(runs / "a")
    assert found["clips"] == 2 * 2 * 16
    assert found["before"] == pytest.approx({name: own.report[name] for name in PROBABILITY_METRICS}, abs=1e-5)
    assert report["accuracy"] == own.report["accuracy"]
    for fold, temperature in enumerate(found["temperatures"], start=1):
        before, after = predicted(runs / "a" / f"fold{fold}"), predicted(tmp_path / "out")
        scaled = scale_by_temperature(before.to_numpy(), temperature)
        assert after.loc[before.index].to_numpy() == pytest.approx(scaled, abs=1e-5)
    text = (tmp_path / "out" / "classification_report.txt").read_text()
    assert re.search(r"temperature of \d+\.\d\d, \d+\.\d\d, fitted on 64 clips of held-out speakers", text)
    assert "temperature of" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_without_held_out_speakers_is_not_calibrated(runs, data_dir, tmp_path):
    with pytest.raises(UserError, match=r"drawn.* was trained without a validation split"):
        score(data_dir, tmp_path / "out", runs / "drawn", words=("calibrate=true",))
    run(data_dir, tmp_path / "clips", "protocol.validation_fraction=0.2", "trainer.max_steps=1")
    with pytest.raises(UserError, match="speakers of the validation split are unknown, or are trained on or scored"):
        score(data_dir, tmp_path / "out", tmp_path / "clips", words=("calibrate=true",))
    assert not (tmp_path / "out").exists()


def test_members_with_other_validation_speakers_are_not_calibrated_together(runs, data_dir, tmp_path):
    run(data_dir, tmp_path / "other", *FOLDS, "protocol.validation_speakers=3", "trainer.max_steps=1")
    with pytest.raises(UserError, match="members of the ensemble have different validation splits"):
        score(data_dir, tmp_path / "out", runs / "a", tmp_path / "other", words=("calibrate=true",))
    report = score(data_dir, tmp_path / "out", runs / "a", tmp_path / "other")
    assert "other held-out speakers. " in report["in_words"]
    assert f"{tmp_path / 'other'}: Protocol custom" in report["in_words"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("calibrate=true", "split=validation"), "fitted on the validation split; score another one"),
        (("calibrate=true", "ensemble=vote"), "shares of votes have no temperature"),
        (("calibrate=true", "corpus=ravdess"), "validation split of the training corpus is needed"),
        (("test_time_copies=-1",), "test_time_copies=-1: it must be at least 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(words, message):
    with pytest.raises(UserError, match=message):
        composed("evaluate", "checkpoint=x", *words)


@pytest.mark.parametrize("word", ["stress=true", "test_time_copies=2", "calibrate=true", "speaker_normalization=true"])
def test_what_needs_a_model_is_refused_for_anybodys_predictions(word):
    with pytest.raises(UserError, match=f"{word}: it needs a model; give checkpoint=RUN"):
        composed("evaluate", "corpus=ravdess", "predictions=p.csv", word)


def test_an_ensemble_is_not_scored_on_clips_that_a_member_was_adapted_to(runs, data_dir, tmp_path):
    prepared = open_prepared(str(data_dir), Corpus("ravdess"))
    (clip,) = [row for row in prepared.utterances if row.path == predicted(runs / "a" / "fold1").index[3]]
    (sha256,) = [hash_samples(prepared.audio.samples(place)) for place in prepared.indices([clip])]
    shutil.copytree(runs / "b" / "fold1" / "checkpoint", tmp_path / "adapted")
    settings = json.loads((tmp_path / "adapted" / "config.json").read_text())
    settings["ser"]["adapted"] = {"clips": 1, "labelled": True, "sha256": [sha256]}
    (tmp_path / "adapted" / "config.json").write_text(json.dumps(settings))
    report = score(data_dir, tmp_path / "out", runs / "a" / "fold1", tmp_path / "adapted")
    assert report["clips"] == 31
    assert clip.path not in predicted(tmp_path / "out").index


def test_speaker_normalisation_is_said_first_and_depends_on_the_speakers_other_clips(runs, data_dir, tmp_path):
    fold = runs / "a" / "fold1"
    report = score(data_dir, tmp_path / "out", fold, words=("speaker_normalization=true",))
    assert report["in_words"].startswith("Uses the other clips of the scored speakers, unlabelled:")
    assert report["model"] == "speaker-normalised tiny"
    difference = (predicted(tmp_path / "out") - predicted(fold)).abs().to_numpy()
    assert difference.max() > 1e-4
    together = score(data_dir, tmp_path / "both", runs / "a", runs / "b", words=("speaker_normalization=true",))
    assert together["model"] == "speaker-normalised ensemble of 2 (tiny)"


@pytest.mark.parametrize("word", ["stress=true", "test_time_copies=1", "corpus=ravdess"])
def test_speaker_normalisation_is_for_the_clips_of_the_own_protocol(word):
    with pytest.raises(UserError, match="speaker_normalization=true: it is for the clips of the checkpoint's own"):
        composed("evaluate", "checkpoint=x", "speaker_normalization=true", word)
