"""What a run and the commands on it write into its folder is what `overwrite=true` removes, and nothing else."""

import shutil

import pytest
from conftest import composed
from helpers.tiny_runs import run

from ser.commands.evaluate import evaluate
from ser.commands.push import push
from ser.runs.folder import FILES, RunFolder, is_own


def strangers(folder):
    return sorted(path.name for path in folder.iterdir() if not is_own(path.name))


@pytest.fixture(scope="module")
def used(exported_run, data_dir, tmp_path_factory):
    """A run that wrote all it can, and on which each command was run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(exported_run, folder)
    given = (f"checkpoint='{folder / 'fold1'}'", f"data_dir='{data_dir}'")
    for split in ("test", "validation"):
        evaluate(composed("evaluate", *given, f"split={split}"))
    step = sorted((folder / "fold1").glob("checkpoint-*"))[-1]
    evaluate(composed("evaluate", f"checkpoint='{step}'", f"data_dir='{data_dir}'"))
    push(composed("push", given[0], "repo=anna/model", "dry_run=true"))
    return folder / "fold1"


def test_a_run_owns_every_name_that_it_and_the_commands_on_it_write(used):
    assert {"tensorboard", "evaluation-test", "evaluation-validation", "onnx", "push"} <= {
        path.name for path in used.iterdir()
    }
    assert strangers(used) == []


def test_a_report_on_several_runs_owns_every_name_but_those_of_the_runs(data_dir, tmp_path):
    run(data_dir, tmp_path / "run", "trainer.max_steps=1", "seeds=[0,1]")
    assert strangers(tmp_path / "run") == ["seed0", "seed1"]


def test_each_name_that_a_run_owns_is_written_by_one(used):
    assert sorted(set(FILES) - {path.name for path in used.iterdir()}) == [
        "inner.csv",
        "runs.csv",
    ]  # of inner folds, of several runs


def test_clearing_a_run_leaves_the_users_files_alone(used, tmp_path):
    shutil.copytree(used, tmp_path / "run")
    (tmp_path / "run" / "notes.md").write_text("mine")
    RunFolder(tmp_path / "run").clear()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.md"]
