import csv
import json
import shutil

import pytest
from conftest import composed
from helpers.tiny_runs import run

from ser.commands.evaluate import evaluate
from ser.errors import UserError
from ser.reports import pooled as pooling
from ser.runs import finished

TWO_FOLDS = (
    "protocol=custom", "+protocol.test_speakers={1: [1, 2, 3], 2: [4, 5, 6, 7]}", "trainer.max_steps=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def pooled(data_dir, tmp_path_factory):
    """Two folds, with two seeds each."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(data_dir, folder, *TWO_FOLDS, "seeds=[0,1]")
    return folder


def rows(path):
    return list(csv.DictReader(path.open()))


def report(folder):
    return json.loads((folder / "classification_report.json").read_text())


def test_each_seed_and_fold_is_a_run_of_its_own_without_what_only_resuming_needs(pooled):
    runs = sorted(path.name for path in pooled.iterdir() if path.is_dir())
    assert runs == ["seed0-fold1", "seed0-fold2", "seed1-fold1", "seed1-fold2"]
    for name in runs:
        assert (pooled / name / "checkpoint" / "model.safetensors").is_file()
        assert (pooled / name / "report.html").is_file()
        assert not list((pooled / name).glob("checkpoint-*"))


def test_the_report_above_holds_every_answer(pooled):
    answers = rows(pooled / "predictions.csv")
    assert len(answers) == 2 * 7 * 16
    assert report(pooled)["clips"] == len(answers)
    assert len(rows(pooled / "test.csv")) == 7 * 16
    assert len({(row["path"], row["seed"], row["fold"]) for row in answers}) == len(answers)
    one = {row["path"]: row["happy"] for row in rows(pooled / "seed1-fold2" / "predictions.csv")}
    assert {row["path"]: row["happy"] for row in answers if (row["seed"], row["fold"]) == ("1", "2")} == one
    assert finished.read(pooled).predictions.emotions == finished.read(pooled / "seed1-fold2").predictions.emotions
    right = sum(row["truth"] == row["prediction"] for row in answers)
    assert report(pooled)["accuracy"] == pytest.approx(right / len(answers))


def test_it_ends_with_mean_and_deviation_over_folds_and_seeds(pooled):
    lines = rows(pooled / "runs.csv")
    assert [(line["seed"], line["fold"]) for line in lines] == [("0", "1"), ("0", "2"), ("1", "1"), ("1", "2")]
    spread = report(pooled)["spread"]
    values = {fold: [float(line["accuracy"]) for line in lines if line["fold"] == fold] for fold in "12"}
    assert spread["folds"]["accuracy"]["mean"] == pytest.approx(sum(map(sum, values.values())) / 4)
    assert (spread["folds"]["accuracy"]["number"], spread["seeds"]["accuracy"]["number"]) == (2, 2)
    text = (pooled / "classification_report.txt").read_text()
    assert "(mean and standard deviation over 2 folds)" in text
    assert "(mean and standard deviation over 2 seeds)" in text


def test_the_protocol_of_all_folds_is_stamped_and_put_into_words(pooled):
    content = report(pooled)
    assert [fold["fold"] for fold in content["protocol"]["folds"]] == [1, 2]
    assert "2 folds: 112 clips of 7 speakers, each tested once" in content["in_words"]
    assert content["seed"] == [0, 1]
    assert content["speakers_are_new"] is True


def test_the_folds_of_an_interrupted_command_are_not_run_again(pooled, data_dir, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(pooled, folder)
    shutil.rmtree(folder / "seed1-fold1")
    before = (folder / "seed0-fold1" / "environment.json").read_bytes()
    with pytest.raises(UserError, match=r"3 of 4 runs are finished here; resume=true keeps them"):
        run(data_dir, folder, *TWO_FOLDS, "seeds=[0,1]")
    score = run(data_dir, folder, *TWO_FOLDS, "seeds=[0,1]", "resume=true")
    assert (folder / "seed0-fold1" / "environment.json").read_bytes() == before
    assert (folder / "predictions.csv").read_text() == (pooled / "predictions.csv").read_text()
    assert score == pytest.approx(report(pooled)["unweighted_average_recall"])


def test_folds_run_one_by_one_end_in_the_same_report(data_dir, tmp_path, pooled):
    folder = tmp_path / "run"
    for fold in (2, 1):
        run(data_dir, folder, *TWO_FOLDS, f"protocol.fold={fold}")
    run(data_dir, folder, *TWO_FOLDS, "resume=true")
    kept = {row["path"]: row["prediction"] for row in rows(folder / "predictions.csv")}
    singles = [row for fold in (1, 2) for row in rows(pooled / f"seed0-fold{fold}" / "predictions.csv")]
    assert kept == {row["path"]: row["prediction"] for row in singles}


def test_a_fold_that_is_run_anew_takes_the_report_on_all_folds_with_it(pooled, data_dir, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(pooled, folder)
    shutil.copytree(pooled / "seed0-fold1", folder / "fold1")
    run(data_dir, folder, *TWO_FOLDS, "protocol.fold=1", "overwrite=true")
    assert not (folder / "classification_report.txt").exists()
    assert (folder / "fold1" / "classification_report.txt").is_file()
    assert (folder / "seed0-fold1" / "classification_report.txt").is_file()


def test_runs_without_the_report_on_all_of_them_are_no_checkpoint(pooled, data_dir, tmp_path):
    unfinished = shutil.copytree(pooled, tmp_path / "run")
    (unfinished / "environment.json").unlink()
    with pytest.raises(UserError, match="it holds several runs; choices: seed0-fold1, seed0-fold2"):
        evaluate(composed("evaluate", f"checkpoint='{unfinished}'", f"data_dir='{data_dir}'"))


def test_what_not_every_machine_measured_is_left_out_of_the_mean():
    assert pooling.common_keys([{"seconds": 1.0, "share_of_peak": 0.3}, {"seconds": 2.0}]) == ["seconds"]
    assert pooling.common_keys([{"seconds": 1.0}, {"seconds": 2.0, "share_of_peak": 0.3}]) == ["seconds"]
