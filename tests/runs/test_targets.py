import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import composed

from ser.console import logging_to
from ser.errors import UserError
from ser.runs.folder import CONFIG, FINISHED, RunFolder
from ser.runs.plan import expand_runs
from ser.runs.session import open_run
from ser.runs.targets import acquire


def command(folder, *overrides):
    return composed("train", f"output_dir='{folder}'", *overrides)


def decided(cfg):
    with acquire(cfg, expand_runs(cfg)) as targets:
        return targets


def begun(folder, cfg):
    with open_run(RunFolder(folder), cfg):
        pass
    return folder


def finished(folder, cfg):
    (begun(folder, cfg) / FINISHED).write_text("{}")
    return folder


def tree(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_or_an_empty_folder_is_free_and_stays_as_it_is(tmp_path):
    assert decided(command(tmp_path / "run")).done == tmp_path / "run"
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    assert decided(command(tmp_path / "run")).runs[0].work.path == tmp_path / "run"
    assert list((tmp_path / "run").iterdir()) == []


def test_a_finished_run_is_not_replaced_unasked(tmp_path):
    folder = finished(tmp_path / "run", command(tmp_path / "run"))
    with pytest.raises(UserError, match="a finished run is here; overwrite=true"):
        decided(command(folder))
    before = tree(folder)
    target = decided(command(folder, "overwrite=true")).runs[0]
    assert target.work.path == folder / ".new"
    assert tree(folder) == before


def test_an_unfinished_run_is_refused_with_both_ways_on(tmp_path):
    folder = begun(tmp_path / "run", command(tmp_path / "run"))
    with pytest.raises(UserError, match=r"resume=true goes on with it, overwrite=true starts again"):
        decided(command(folder))
    assert decided(command(folder, "resume=true")).runs[0].work.path == folder


def test_an_unfinished_new_run_is_resumed_and_the_refusal_advises_only_that(tmp_path):
    folder = finished(tmp_path / "run", command(tmp_path / "run"))
    begun(folder / ".new", command(folder, "trainer.learning_rate=5e-5"))
    with pytest.raises(UserError, match=r"an unfinished new run is here .* resume=true goes on with it$"):
        decided(command(folder))
    with pytest.raises(UserError, match=r"learning_rate was 5e-05 in .*/\.new, and is 0.0001 now"):
        decided(command(folder, "resume=true"))
    target = decided(command(folder, "resume=true", "trainer.learning_rate=5e-5")).runs[0]
    assert target.work.path == folder / ".new"


@pytest.mark.parametrize("flag", ["overwrite=true", "resume=true", "seed=0"])
def test_a_folder_that_is_no_run_is_left_alone(tmp_path, flag):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="holds no run"):
        decided(command(tmp_path / "run", flag))
    with pytest.raises(UserError, match="it is no folder"):
        decided(command(tmp_path / "run" / "thesis.tex", flag))
    assert tree(tmp_path) == {"run/thesis.tex"}


def test_a_resumed_run_keeps_its_settings(tmp_path):
    folder = begun(tmp_path / "run", command(tmp_path / "run"))
    with pytest.raises(UserError, match=r"trainer.learning_rate was 0.0001 in .* and is 5e-05 now"):
        decided(command(folder, "trainer.learning_rate=5e-5", "resume=true"))
    for free in ("tracking=none", "trainer.background_checkpoints=true", "trainer.save_total_limit=1", "data_dir=x"):
        decided(command(folder, free, "resume=true"))


def test_auto_starts_where_nothing_is_goes_on_with_a_run_and_keeps_a_finished_one(tmp_path):
    cfg = command(tmp_path / "run", "resume=auto")
    assert decided(cfg).runs[0].work.path == tmp_path / "run"
    assert list(tmp_path.iterdir()) == []
    begun(tmp_path / "run", cfg)
    assert decided(cfg).runs[0].work.path == tmp_path / "run"
    finished(tmp_path / "run", cfg)
    assert decided(cfg).runs[0].work.is_finished()


def test_auto_refuses_other_settings_and_what_is_no_run(tmp_path):
    begun(tmp_path / "run", command(tmp_path / "run"))
    with pytest.raises(UserError, match=r"^resume=auto: trainer.learning_rate was 0.0001 in .* and is 5e-05 now"):
        decided(command(tmp_path / "run", "trainer.learning_rate=5e-5", "resume=auto"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="it exists and holds no run"):
        decided(command(tmp_path / "own", "resume=auto"))
    assert tree(tmp_path / "own") == {"thesis.tex"}


def test_auto_joins_folds_that_are_begun_finished_and_not_there(tmp_path):
    cfg = command(tmp_path / "run", "protocol=emobox", "resume=auto")
    runs = expand_runs(cfg)
    begun(Path(runs[2].output_dir), runs[2])
    finished(Path(runs[0].output_dir), runs[0])
    targets = decided(cfg)
    assert [target.work.path.name for target in targets.runs] == [f"fold{number}" for number in range(1, 7)]
    assert [target.work.is_finished() for target in targets.runs] == [True, *[False] * 5]


def test_a_run_under_auto_is_resumed_by_true_and_the_other_way_round(tmp_path):
    for first, then in (("true", "auto"), ("auto", "true")):
        folder = begun(tmp_path / first, command(tmp_path / first, f"resume={first}"))
        assert decided(command(folder, f"resume={then}")).runs[0].work.path == folder


def spellings(folder):
    return [f"{folder}/", f"{folder.parent}/./run", f"{folder.parent}//run", "run", "./run/", "~/run", "link", "link/"]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("overrides", [(), ("protocol=emobox", "protocol.fold=3"), ("protocol=emobox",)])
def test_every_spelling_of_a_path_is_the_same_run(tmp_path, monkeypatch, number, overrides):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to("run")
    for run in expand_runs(command(tmp_path / "run", *overrides)):
        (begun(Path(run.output_dir), run) / "checkpoint-100").mkdir()
    before = tree(tmp_path / "run")
    spelling = spellings(tmp_path / "run")[number]
    targets = decided(command(spelling, "resume=true", *overrides))
    assert all(target.work == target.final for target in targets.runs)
    assert targets.done.resolve().is_relative_to(tmp_path / "run")
    with pytest.raises(UserError, match="resume=true"):
        decided(command(spelling, *overrides))
    assert tree(tmp_path / "run") == before
    assert len(list((tmp_path / "run").rglob("checkpoint-100"))) == len(targets.runs)


def test_folds_may_join_one_that_was_run_by_itself(tmp_path):
    cfg = command(tmp_path / "run", "protocol=emobox", "resume=true")
    third = expand_runs(cfg)[2]
    begun(Path(third.output_dir), third)
    assert [target.work.path.name for target in decided(cfg).runs] == [f"fold{number}" for number in range(1, 7)]


def test_what_is_finished_of_several_runs_is_never_to_be_thrown_away(tmp_path):
    cfg = command(tmp_path / "run", "protocol=emobox")
    runs = expand_runs(cfg)
    begun(Path(runs[2].output_dir), runs[2])
    finished(Path(runs[0].output_dir), runs[0])
    with pytest.raises(UserError, match="1 of 6 runs are finished here; resume=true keeps them") as refusal:
        decided(cfg)
    assert "overwrite" not in str(refusal.value)
    for run in runs:
        finished(Path(run.output_dir), run)
    with pytest.raises(UserError, match="6 finished runs are here; resume=true writes the report on all of them"):
        decided(cfg)


def test_runs_with_and_without_folds_do_not_share_a_folder(tmp_path):
    plain = command(tmp_path / "plain")
    (begun(tmp_path / "plain", plain) / "checkpoint-1").mkdir()
    for flag in ("resume=true", "overwrite=true", "protocol.fold=2"):
        with pytest.raises(UserError, match="a run without folds is here"):
            decided(command(tmp_path / "plain", "protocol=emobox", flag))
    cfg = command(tmp_path / "folds", "protocol=emobox")
    begun(Path(expand_runs(cfg)[0].output_dir), expand_runs(cfg)[0])
    for flag in ("resume=true", "overwrite=true"):
        with pytest.raises(UserError, match=r"runs are below it \(fold1\)"):
            decided(command(tmp_path / "folds", flag))


def test_folds_are_not_written_into_a_folder_of_something_else(tmp_path):
    cfg = command(tmp_path / "run", "protocol=emobox", "overwrite=true")
    (tmp_path / "run" / "fold2").mkdir(parents=True)
    (tmp_path / "run" / "fold2" / "test.csv").write_text("mine")
    with pytest.raises(UserError, match="holds no run"):
        decided(cfg)
    begun(Path(expand_runs(cfg)[0].output_dir), expand_runs(cfg)[0])
    with pytest.raises(UserError, match="fold2: it exists and holds no run"):
        decided(cfg)
    assert (tmp_path / "run" / "fold2" / "test.csv").read_text() == "mine"


@pytest.mark.parametrize("flag", ["resume=true", "overwrite=true", "seed=0"])
def test_a_second_command_is_refused_whatever_its_flags(tmp_path, flag):
    folds = command(tmp_path / "run", "protocol=emobox")
    one = command(f"{tmp_path}/./run/", "protocol=emobox", "protocol.fold=3", flag)
    other = command(tmp_path / "run", "protocol=emobox", "protocol.fold=4")
    for first, second in ((folds, one), (one, replace(folds, resume=True)), (one, one), (folds, folds)):
        with (
            acquire(first, expand_runs(first)),
            pytest.raises(UserError, match="another ser command writes there") as refusal,
            acquire(second, expand_runs(second)),
        ):
            pass
        assert "=true" not in str(refusal.value)
    with acquire(one, expand_runs(one)), acquire(other, expand_runs(other)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_never_began_leaves_no_folder(tmp_path):
    with pytest.raises(UserError), open_run(RunFolder(tmp_path / "a" / "run"), command("x")):
        raise UserError("no such checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays_with_what_is_the_users(tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("notes.md", "mine.csv", "checkpoint-100.bak"):
        (tmp_path / "run" / name).touch()
    with pytest.raises(UserError), open_run(RunFolder(tmp_path / "run"), command("x")):
        raise UserError("no such checkpoint")
    assert tree(tmp_path / "run") == {"notes.md", "mine.csv", "checkpoint-100.bak"}


def test_a_run_that_had_begun_stays_with_the_reason_in_its_log(tmp_path):
    folder = begun(tmp_path / "run", command(tmp_path / "run"))
    with pytest.raises(UserError), open_run(RunFolder(folder), command(folder)):
        raise UserError("no space left")
    assert "no space left" in (folder / "run.log").read_text()
    with pytest.raises(ZeroDivisionError), open_run(RunFolder(folder), command(folder)):
        raise ZeroDivisionError("ours")
    assert "Traceback" in (folder / "run.log").read_text()


def new_run(folder):
    """An older run with what commands and the user put there, and a finished new one inside."""
    for name in ("config.yaml", "environment.json", "model.old", "predictions.csv"):
        (folder / name.replace("model.old", "checkpoint/old")).parent.mkdir(parents=True, exist_ok=True)
        (folder / name.replace("model.old", "checkpoint/old")).write_text("old")
    for name in ("onnx/model.onnx", "push/README.md", "evaluation-test/report.html", "checkpoint-100/weights"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("old")
    for name in ("thesis-notes.md", "mine.csv", "evaluation-notes/a", "own/b", "checkpoint-100.bak/c"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    for name in ("config.yaml", "environment.json", "checkpoint/new", "report.html", "checkpoint-7/weights"):
        (folder / ".new" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / ".new" / name).write_text("new")
    return folder


MINE = {"thesis-notes.md", "mine.csv", "evaluation-notes/a", "own/b", "checkpoint-100.bak/c"}
REPLACED = {"config.yaml", "environment.json", "checkpoint/new", "report.html", "checkpoint-7/weights"} | MINE


def test_a_new_run_takes_the_place_of_the_old_and_of_all_that_was_made_of_it(tmp_path):
    folder = new_run(tmp_path / "run")
    RunFolder(folder).replace()
    assert tree(folder) == REPLACED
    assert not (folder / ".new").exists()
    assert (folder / "config.yaml").read_text() == "new"
    assert {(folder / name).read_text() for name in MINE} == {"mine"}


def test_an_unfinished_new_run_does_not_take_the_place(tmp_path):
    folder = new_run(tmp_path / "run")
    (folder / ".new" / FINISHED).unlink()
    before = tree(folder)
    RunFolder(folder).replace()
    assert tree(folder) == before


TWO_FOLDS = ("protocol=custom", "+protocol.test_speakers={1: [1], 2: [2]}")
KILLED = """
import os, signal, sys
from pathlib import Path
from ser.runs import folder
count = 0
def counted(function):
    def call(*args):
        global count
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return function(*args)
    return call
folder.remove = counted(folder.remove)
os.replace, os.rename = counted(os.replace), counted(os.rename)
folder.RunFolder(Path(sys.argv[1])).replace()
"""


@pytest.mark.parametrize("pooled", [False, True])
def test_a_process_that_is_killed_while_a_run_takes_its_place_loses_neither(tmp_path, pooled):
    for moment in range(100):
        top = tmp_path / str(moment)
        if pooled:
            new_run(top / "fold1")
            (top / ".new").mkdir()
            (top / "fold1" / ".new").rename(top / ".new" / "fold1")
            for folder, text in ((top, "old"), (top / ".new", "new")):
                for name in (CONFIG, FINISHED):
                    (folder / name).write_text(text)
            (top / "own").mkdir()
        else:
            new_run(top)
        process = subprocess.run([sys.executable, "-c", KILLED, str(top), str(moment)])
        if process.returncode != -signal.SIGKILL:
            break
        if (top / FINISHED).exists():
            assert (top / FINISHED).read_text() == "old"
            assert (top / "fold1" if pooled else top).joinpath("checkpoint", "old").exists()
        with pytest.raises(UserError, match=r"finished run|1 of 2 runs are finished"):
            decided(command(top, *(TWO_FOLDS if pooled else ())))
        found = tree(top / "fold1" if pooled else top)
        assert found == REPLACED
        assert (top / FINISHED).read_text() == "new"
    assert moment > 10


def test_the_earlier_report_of_folds_is_known_as_no_longer_theirs(tmp_path):
    cfg = command(tmp_path / "run", "protocol=emobox", "resume=true")
    runs = expand_runs(cfg)
    fold = begun(Path(runs[0].output_dir), runs[0])
    for name in (CONFIG, "predictions.csv", "mine.txt"):
        (tmp_path / "run" / name).write_text("x")
    decided(cfg).remove_earlier_report()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"fold1", "mine.txt"}
    assert (fold / CONFIG).is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_a_log_on_a_full_disk_loses_its_lines_without_a_traceback_for_each(tmp_path, capsys):
    import logging

    with logging_to(Path("/dev/full")):
        logging.getLogger("ser").error("a line", extra={"file_only": True})
    assert "Traceback" not in "".join(capsys.readouterr())
