import json
import shutil
from dataclasses import replace

import pytest
from helpers.toy_runs import toy_run

from ser.comparison import tables
from ser.comparison.blocks import group_runs
from ser.comparison.selection import validation_recall


def test_the_best_run_is_that_of_the_validation_split_and_not_of_the_tested_clips(tmp_path):
    low = toy_run(tmp_path / "low", hits=0.5, learning_rate=1e-4, validation=0.7)
    high = toy_run(tmp_path / "high", hits=0.9, learning_rate=1e-5, validation=0.6)
    (block,) = group_runs([low, high])
    assert block.runs == [high, low]
    assert block.chosen is low
    assert [row["validation"] for row in tables.cells(block, False)] == ["60.0 %", "70.0 % *"]
    assert tables.numbers(block, low, False)["validation_unweighted_average_recall"] == 0.7
    assert "Settings are chosen by it" in " ".join(tables.notes(block, False))


def test_no_run_is_the_best_where_one_has_no_validation_split(tmp_path):
    runs = [toy_run(tmp_path / "with", validation=0.7), toy_run(tmp_path / "without", hits=0.9)]
    (block,) = group_runs(runs)
    assert block.chosen is None
    assert "No run is marked as the best" in " ".join(tables.notes(block, False))


def test_a_checkpoint_that_was_selected_on_tested_clips_has_no_validation_metric(tmp_path):
    run = toy_run(tmp_path / "run", validation=0.7)
    history = run.folder / "history.csv"
    history.write_text(history.read_text().replace("validation,", "test,"))
    assert validation_recall(run) is None


def test_folds_that_were_pooled_have_the_mean_of_their_validation_splits(tmp_path):
    pooled = toy_run(tmp_path / "pooled")
    for number, recall in enumerate((0.5, 0.7)):
        toy_run(tmp_path / f"fold{number}", validation=recall)
        shutil.move(tmp_path / f"fold{number}", pooled.folder)
    run = replace(pooled, report={**json.loads(json.dumps(pooled.report)), "spread": {"runs": [1, 2]}})
    assert validation_recall(run) == pytest.approx(0.6)
