"""What `ser train` does with what is there already, and what it leaves when it is stopped."""

import errno
import json
import shutil
import signal
import subprocess

import pytest
from conftest import write_corpus
from helpers.commands import PYTHON
from helpers.tiny_runs import QUICK, run

from ser.errors import Interrupted, UserError
from ser.experiments import train
from ser.training import checkpoint_folders

BEFORE_TRAINING = ("open_or_prepare", "split_corpus")
AGAIN = "^interrupted before training, and no run has changed; give the same command again$"


def tree(folder):
    """Each file below a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def old(finished_run, tmp_path):
    """A finished run with what other commands and the user put there."""
    folder = tmp_path / "runs" / "run"
    shutil.copytree(finished_run, folder)
    for name in ("onnx/model.onnx", "push/README.md", "evaluation-test/report.html"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("of the old run")
    for name in ("thesis-notes.md", "mine.csv", "own/figure.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    return folder


def toy_fine_tune(cfg, folder, prepared, splits):
    """Stands in for the training itself, where it does not matter."""
    (folder / "checkpoint").mkdir()
    (folder / "classification_report.txt").write_text(str(cfg.seed))
    (folder / "classification_report.json").write_text(json.dumps({"unweighted_average_recall": 0.5}))
    (folder / "environment.json").write_text("{}")


def ending_with(error):
    def fine_tune(cfg, folder, prepared, splits):
        (folder / "checkpoint-1").mkdir()
        raise error

    return fine_tune


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.pretrained=./nowhere", "there is no such folder"),
        ("data_dir=nowhere", "run `ser prepare-data --root DIR` first"),
        ("trainer.optim=nonsense", "nonsense"),
    ],
)
def test_a_mistake_leaves_the_old_run_and_the_users_files_as_they_were(override, message, old, data_dir):
    before = tree(old.parent)
    with pytest.raises(UserError, match=message):
        run(data_dir, old, "overwrite=true", override)
    assert tree(old.parent) == before
    assert sorted(path.name for path in old.parent.iterdir()) == ["run"]


@pytest.mark.parametrize("error", [RuntimeError("a crash"), KeyboardInterrupt(), OSError(errno.EIO, "broken disk")])
def test_what_ends_a_new_run_leaves_the_old_one_usable_until_it_goes_on(error, old, data_dir, monkeypatch):
    before = tree(old)
    monkeypatch.setattr(train, "fine_tune", ending_with(error))
    with pytest.raises((type(error), Interrupted)):
        run(data_dir, old, "overwrite=true", "seed=5")
    after = tree(old)
    assert {name: content for name, content in after.items() if not name.startswith(".new/")} == before
    assert (old / ".new" / "checkpoint-1").is_dir()
    monkeypatch.setattr(train, "fine_tune", toy_fine_tune)
    run(data_dir, f"{old}/", "resume=true", "seed=5")
    assert_replaced(old)


def assert_replaced(old):
    assert (old / "classification_report.txt").read_text() == "5"
    assert {name for name, content in tree(old).items() if content in (b"of the old run", b"mine")} == {
        "thesis-notes.md", "mine.csv", "own/figure.png",
    }  # fmt: skip
    assert not (old / "report.html").exists()
    assert not (old / ".new").exists()


def test_a_new_run_replaces_the_old_with_all_that_was_made_of_it(old, data_dir, monkeypatch):
    monkeypatch.setattr(train, "fine_tune", toy_fine_tune)
    run(data_dir, old, "overwrite=true", "seed=5")
    assert_replaced(old)


FOLDS = ("protocol=custom", "+protocol.test_speakers={1: [1, 2], 2: [3, 4]}")


def toy_pooling(cfg, targets, prepared, splits):
    folder = targets.pooled.work.path
    (folder / "config.yaml").write_text("x: 1")
    toy_fine_tune(cfg, folder, prepared, splits)
    (folder / "checkpoint").rmdir()


def test_new_runs_of_all_folds_replace_the_old_ones_together(data_dir, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    monkeypatch.setattr(train, "fine_tune", toy_fine_tune)
    monkeypatch.setattr(train.pooled, "write", toy_pooling)
    run(data_dir, folder, *FOLDS)
    (folder / "fold1" / "notes.md").write_text("mine")
    before = tree(folder)

    def second_fails(cfg, place, prepared, splits):
        if cfg.protocol.fold == 2:
            raise KeyboardInterrupt
        toy_fine_tune(cfg, place, prepared, splits)

    monkeypatch.setattr(train, "fine_tune", second_fails)
    with pytest.raises(Interrupted, match=r"resume=true instead of overwrite=true goes on"):
        run(data_dir, folder, *FOLDS, "overwrite=true", "seed=5")
    assert {name: content for name, content in tree(folder).items() if not name.startswith(".new/")} == before
    monkeypatch.setattr(train, "fine_tune", toy_fine_tune)
    run(data_dir, folder, *FOLDS, "resume=true", "seed=5")
    assert {(folder / name / "classification_report.txt").read_text() for name in ("", "fold1", "fold2")} == {"5"}
    assert (folder / "fold1" / "notes.md").read_text() == "mine"
    assert not (folder / ".new").exists()


def test_an_interruption_states_how_to_go_on_in_the_log_as_well(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "fine_tune", ending_with(KeyboardInterrupt()))
    line = rf"^interrupted; the same command with resume=true goes on with {tmp_path / 'run'}$"
    with pytest.raises(Interrupted, match=line):
        run(data_dir, tmp_path / "run")
    assert "ERROR interrupted; the same command with resume=true" in (tmp_path / "run" / "run.log").read_text()
    monkeypatch.setattr(train, "fine_tune", toy_fine_tune)
    run(data_dir, tmp_path / "run", "resume=true")


@pytest.mark.parametrize("busy", BEFORE_TRAINING)
def test_an_interruption_before_training_reports_it_too_and_leaves_nothing(busy, data_dir, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, busy, interrupted)
    with pytest.raises(Interrupted, match=AGAIN):
        run(data_dir, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("busy", BEFORE_TRAINING)
def test_an_interruption_before_training_does_not_lead_back_to_the_run_that_is_to_be_replaced(
    busy, old, data_dir, monkeypatch
):
    def interrupted(*args):
        raise KeyboardInterrupt

    before = tree(old)
    monkeypatch.setattr(train, busy, interrupted)
    with pytest.raises(Interrupted, match=AGAIN):
        run(data_dir, old, "overwrite=true", "seed=5")
    assert tree(old) == before


def test_processes_that_no_launcher_described_are_refused_before_anything_is_touched(data_dir, old, monkeypatch):
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    before = tree(old.parent)
    with pytest.raises(UserError, match=r"^WORLD_SIZE=2: LOCAL_RANK, MASTER_ADDR, MASTER_PORT not set"):
        run(data_dir, old, "overwrite=true")
    assert tree(old.parent) == before


@pytest.fixture
def interrupted(data_dir, tmp_path, monkeypatch):
    """A run that was interrupted after its second step, and its data."""
    complete = checkpoint_folders.complete

    def interrupting(checkpoint, *args):
        complete(checkpoint, *args)
        if checkpoint.name == "checkpoint-2":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_folders, "complete", interrupting)
        with pytest.raises(Interrupted):
            run(data_dir, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_that_was_moved_goes_on_with_data_that_were_moved(interrupted, data_dir, tmp_path, monkeypatch):
    run(data_dir, tmp_path / "whole")
    shutil.copytree(data_dir, tmp_path / "data")
    shutil.move(interrupted, tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    run("data", "./moved/", "resume=true")
    assert "resuming from moved/checkpoint-2" in (tmp_path / "moved" / "run.log").read_text()
    answers = [(tmp_path / name / "predictions.csv").read_text() for name in ("moved", "whole")]
    assert answers[0] == answers[1]
    # A copy that a user made of a checkpoint is none of ours.
    shutil.copytree(tmp_path / "whole", tmp_path / "whole" / "checkpoint-100.bak")
    assert all(path.name != "checkpoint-100.bak" for path in checkpoint_folders.list_checkpoints(tmp_path / "whole"))


def test_a_run_does_not_go_on_with_other_data(interrupted, tmp_path):
    before = tree(interrupted)
    write_corpus(tmp_path / "other", seconds=0.3)
    with pytest.raises(UserError, match=r"the recordings of data_dir=.*data are not those that .*run began with"):
        run(tmp_path / "data", interrupted, f"root='{tmp_path / 'other'}'", "resume=true")
    assert tree(interrupted) == before


def test_a_signal_ends_the_command_in_one_line_and_the_folder_is_free_again(data_dir, tmp_path):
    arguments = [*QUICK, "trainer.max_steps=1000", f"data_dir='{data_dir}'", f"output_dir='{tmp_path / 'run'}'"]
    start = [PYTHON, "-m", "ser", "train"]
    process = subprocess.Popen([*start, *arguments], stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("step 2 "):
            break
    second = subprocess.run([*start, *arguments, "resume=true"], capture_output=True, text=True)
    assert second.returncode == 1
    assert "another ser command writes there" in second.stderr
    process.send_signal(signal.SIGTERM)
    after = process.stderr.read().splitlines()
    assert process.wait() == 75, said + after
    assert after[-1] == f"ser: interrupted; the same command with resume=true goes on with {tmp_path / 'run'}"
    assert not [line for line in after if "Traceback" in line or line.startswith("  ")]
    assert "interrupted; the same command" in (tmp_path / "run" / "run.log").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert checkpoint_folders.newest_resumable(tmp_path / "run") is not None
