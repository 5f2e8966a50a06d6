"""trainer.choose: the last step, or a number of epochs that inner folds of whole training speakers find."""

import csv
import json

import pytest
from conftest import composed
from helpers.compositions import SMALL

from ser.commands.evaluate import evaluate
from ser.commands.train import train
from ser.errors import Interrupted, UserError
from ser.experiments import inner

EPOCHS = (
    "protocol=emobox", "protocol.fold=2", *SMALL, "trainer=scratch", "tracking=none",
    "trainer.num_train_epochs=2", "trainer.inner_folds=2", "trainer.per_device_train_batch_size=64",
    "protocol.validation_speakers=0",
)  # fmt: skip


def run(data_dir, folder, *overrides):
    train(composed("train", *EPOCHS, f"data_dir='{data_dir}'", f"output_dir='{folder}'", *overrides))
    return folder / "fold2"


def rows_of(path):
    return list(csv.DictReader(path.open()))


@pytest.fixture(scope="module")
def last(data_dir, tmp_path_factory):
    return run(data_dir, tmp_path_factory.mktemp("last") / "run", "trainer.choose=last")


@pytest.fixture(scope="module")
def found(data_dir, tmp_path_factory):
    return run(data_dir, tmp_path_factory.mktemp("inner") / "run", "trainer.choose=inner")


def test_the_last_step_is_kept_and_the_test_split_is_not_looked_at_before(last):
    rows, report = rows_of(last / "history.csv"), json.loads((last / "classification_report.json").read_text())
    assert {(row["evaluated_on"], row["eval_loss"]) for row in rows} == {("", "")}
    assert report["step"] == max(int(row["step"]) for row in rows)
    assert len({row["speaker"] for row in rows_of(last / "train.csv")}) == 20
    assert "is that of the last step: no split selected it." in report["in_words"]
    assert "no split selected it" in (last / "report.html").read_text()


@pytest.mark.parametrize(("choose", "epoch"), [("last", 2), ("best", 1)])
def test_a_validation_split_is_evaluated_and_selects_only_with_best(data_dir, tmp_path, monkeypatch, choose, epoch):
    losses = iter([1.0, 2.0])
    monkeypatch.setattr("ser.training.evaluating.cross_entropy", lambda *_: next(losses))
    folder = run(
        data_dir, tmp_path / "run", f"trainer.choose={choose}", "protocol.validation_speakers=2",
        "trainer.metric_for_best_model=loss",
    )  # fmt: skip
    rows = rows_of(folder / "history.csv")
    assert [(row["evaluated_on"], row["eval_loss"]) for row in rows] == [("validation", "1.0"), ("validation", "2.0")]
    assert json.loads((folder / "classification_report.json").read_text())["step"] == int(rows[epoch - 1]["step"])


def test_a_checkpoint_is_evaluated_again_with_the_same_sentences(last, data_dir, tmp_path):
    evaluate(composed("evaluate", f"checkpoint='{last}'", f"data_dir='{data_dir}'", f"output_dir='{tmp_path}/again'"))
    report = (tmp_path / "again" / "classification_report.json").read_text()
    assert json.loads(report)["in_words"] == json.loads((last / "classification_report.json").read_text())["in_words"]


def test_inner_folds_find_the_epoch_after_which_the_run_ends(found, last):
    rows = rows_of(found / "inner.csv")
    assert [(row["fold"], row["epoch"]) for row in rows] == [
        (fold, epoch) for fold in ("1.0", "2.0") for epoch in ("1.0", "2.0")
    ]
    epoch, _ = inner.find_best_epoch(inner.read(found / "inner.csv"), "unweighted_average_recall")
    history = rows_of(found / "history.csv")
    assert [float(row["epoch"]) for row in history] == [1.0, 2.0][:epoch]
    # Under the schedule of all epochs, from the same start: the steps of a run without inner folds.
    assert [row["train_loss"] for row in history] == [row["train_loss"] for row in rows_of(last / "history.csv")][
        :epoch
    ]
    assert not (found / "inner").exists()
    assert "inner folds of whole training speakers" in (found / "report.html").read_text()


def test_a_tested_clip_is_in_no_inner_fold(data_dir, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(inner, "evaluate_epochs", lambda cfg, folder, prepared, splits, fold: seen.append(splits) or [])
    monkeypatch.setattr(inner, "find_best_epoch", lambda rows, metric: (1, 0.5))
    folder = run(data_dir, tmp_path / "run", "trainer.choose=inner")
    tested = {row["speaker"] for row in rows_of(folder / "test.csv")}
    held_out = [set(splits.validation.distinct("speaker")) for splits in seen]
    for splits, speakers in zip(seen, held_out, strict=True):
        assert len(splits.test) == 0
        assert not (tested | speakers) & set(splits.train.distinct("speaker"))
        assert not tested & speakers
    assert held_out[0] | held_out[1] == {row["speaker"] for row in rows_of(folder / "train.csv")}
    assert len(rows_of(folder / "history.csv")) == 1


def test_an_interrupted_search_goes_on_with_the_next_inner_fold(data_dir, found, tmp_path, monkeypatch):
    folder, train_fold = tmp_path / "run", inner.evaluate_epochs

    def interrupt(cfg, place, prepared, splits, fold):
        if fold == 2:
            raise Interrupted("interrupted")
        return train_fold(cfg, place, prepared, splits, fold)

    monkeypatch.setattr(inner, "evaluate_epochs", interrupt)
    with pytest.raises(Interrupted):
        run(data_dir, folder, "trainer.choose=inner")
    finished = (folder / "fold2" / "inner" / "fold1" / "inner.csv").stat().st_mtime_ns
    monkeypatch.setattr(inner, "evaluate_epochs", train_fold)
    monkeypatch.setattr(inner, "remove", lambda path: None)
    run(data_dir, folder, "trainer.choose=inner", "resume=true")
    assert (folder / "fold2" / "inner" / "fold1" / "inner.csv").stat().st_mtime_ns == finished
    assert (folder / "fold2" / "inner.csv").read_text() == (found / "inner.csv").read_text()
    assert (folder / "fold2" / "predictions.csv").read_text() == (found / "predictions.csv").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.choose=inner", "trainer.inner_folds=21"), "the training split has 20 speakers"),
        (("trainer.choose=last", "trainer.early_stopping_patience=2"), "early_stopping_patience=null"),
        (("trainer.choose=inner", "trainer.max_steps=3"), "it finds a number of epochs"),
        (("trainer.choose=inner", "trainer.eval_strategy=steps"), "it finds a number of epochs"),
    ],
)
def test_what_cannot_be_chosen_so_is_one_line(data_dir, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        run(data_dir, tmp_path / "run", *overrides)
    assert not (tmp_path / "run" / "fold2").exists()
