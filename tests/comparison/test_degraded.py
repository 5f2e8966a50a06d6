import pytest
from helpers.toy_runs import toy_run

from ser.comparison import blocks, tables
from ser.comparison.degraded import stress_cells
from ser.errors import UserError
from ser.evaluation.stress import StressRow
from ser.files import write_csv, write_json


def put_under_stress(run, *recalls, words="Words."):
    """The table that `ser evaluate checkpoint=RUN stress=true` writes."""
    rows = [
        StressRow(name, 0.9, recall, 0.1, 0.9, 0.0, 96) for name, recall in zip(("clean", "room"), recalls, strict=True)
    ]
    (run.folder / "evaluation-test").mkdir()
    write_csv(run.folder / "evaluation-test" / "stress.csv", StressRow._fields, rows)
    write_json(run.folder / "evaluation-test" / "classification_report.json", {"in_words": words})
    return run


def test_runs_stand_side_by_side_under_each_condition(tmp_path):
    plain = put_under_stress(toy_run(tmp_path / "plain", hits=0.9), 0.9, 0.3)
    augmented = put_under_stress(toy_run(tmp_path / "augmented", hits=0.8, seed=1), 0.8, 0.7)
    (block,) = blocks.group_runs([plain, augmented, toy_run(tmp_path / "other", hits=0.7, seed=2)])
    called = block.names
    assert stress_cells(block) == [
        {"run": called[plain.folder], "clean": "90.0 %", "room": "30.0 %"},
        {"run": called[augmented.folder], "clean": "80.0 %", "room": "70.0 %"},
    ]
    tables.write(tmp_path / "out", [block], published=False)
    assert "| 80.0 %" in (tmp_path / "out" / "comparison.md").read_text()
    assert "70.0 %" in (tmp_path / "out" / "comparison.html").read_text()


def test_runs_without_such_a_table_have_none_in_the_comparison(tmp_path):
    (block,) = blocks.group_runs([toy_run(tmp_path / "a"), toy_run(tmp_path / "b", seed=1)])
    assert stress_cells(block) == []
    assert "stress=true" not in tables.markdown([block], published=False)


def test_a_run_that_was_evaluated_in_another_way_says_so(tmp_path):
    run = put_under_stress(toy_run(tmp_path / "a"), 0.9, 0.3, words="Words. Over copies.")
    (block,) = blocks.group_runs([run])
    (row,) = stress_cells(block)
    assert row["run"].endswith(", evaluated in another way (see its report)")


def test_a_damaged_table_is_named(tmp_path):
    run = put_under_stress(toy_run(tmp_path / "a"), 0.9, 0.3)
    (run.folder / "evaluation-test" / "stress.csv").write_text("condition\nclean\n")
    (block,) = blocks.group_runs([run])
    with pytest.raises(UserError, match=r"stress\.csv: the file is damaged"):
        stress_cells(block)
