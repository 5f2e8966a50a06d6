"""Jobs of a sweep that run elsewhere: three folds, one of which is killed, and what a launching process reports."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import composed
from helpers.commands import PYTHON, ser
from helpers.compositions import SMALL

from ser import extras, launching
from ser.commands.train import train
from ser.errors import Interrupted, UserError
from ser.launching import Sweep, chosen_launcher, find_gpus, held_gpu, joint_command

QUICK = (
    "protocol=custom", "+protocol.test_speakers={1:[1],2:[2],3:[3]}", *SMALL, "trainer=scratch",
    "tracking=none", "trainer.max_steps=1",
)  # fmt: skip
FOLDS = "protocol.fold=1,2,3"
WORKER = f"""
import os, sys
if {{"joblib", "ray"}} & set(" ".join(sys.orig_argv).replace("/", " ").replace(".", " ").split()):
    sys.executable = {PYTHON!r}
if command := os.environ.get("SUBMITIT_LOCAL_COMMAND"):
    os.environ["SUBMITIT_LOCAL_COMMAND"] = command.replace(sys.executable, {PYTHON!r}, 1)
"""
"""A `sitecustomize.py`: the jobs that a worker starts are forked from a process that has done the imports.

Workers of submitit are forked as well; those of joblib and Ray cannot be: they are given open files.
"""


@pytest.fixture(scope="module")
def serial(data_dir, tmp_path_factory):
    """The folder of three folds that one process has trained."""
    folder = tmp_path_factory.mktemp("serial") / "run"
    train(composed("train", *QUICK, f"data_dir='{data_dir}'", f"output_dir='{folder}'"))
    return folder


def workers_that_fork(folder):
    """The environment of a command whose workers run `sitecustomize.py`."""
    (folder / "sitecustomize.py").write_text(WORKER)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def start(folder, *arguments):
    command = [sys.executable, "-m", "ser", "train", "--multirun", *QUICK, FOLDS, "output_dir=run", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=workers_that_fork(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_while_it_trains(run, process):
    while not (run / "config.yaml").exists() and process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    number, _ = (run.parent / f".{run.name}.lock").read_text().splitlines()
    os.kill(int(number), signal.SIGKILL)


def read_report(folder):
    """The report on all runs, without the time that each took."""
    report = json.loads((folder / "classification_report.json").read_text())
    assert all(run.pop("seconds") > 0 for run in report["spread"]["runs"])
    return report


def check_three_folds(serial, folder, *arguments):
    """One fold is killed, the same command trains it, and its last line is the command for the report on all."""
    process = start(folder, *arguments)
    kill_while_it_trains(folder / "run" / "fold3", process)
    output, errors = process.communicate()
    assert process.returncode == 1, errors
    failed, last = errors.splitlines()[-2:]
    log = re.fullmatch(r"ser: protocol.fold=3: killed by signal 9; its output: (\S+)", failed)[1]
    assert "protocol.fold=3" in Path(log).read_text().splitlines()[0]
    assert last == "ser: 1 of 3 jobs failed: protocol.fold=3. The same command runs them again."
    process = start(folder, *arguments)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    joint = output.splitlines()[-1].partition(": ser train ")[2]
    assert ser("train", *joint.replace("'", "").split(), cwd=folder).returncode == 0
    assert (folder / "run" / "predictions.csv").read_bytes() == (serial / "predictions.csv").read_bytes()
    assert read_report(folder / "run") == read_report(serial)


def test_three_folds_by_submitit_of_which_one_is_killed_have_the_report_of_a_serial_run(serial, data_dir, tmp_path):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    check_three_folds(serial, tmp_path, "hydra/launcher=submitit_local", f"data_dir={data_dir}")


def test_three_folds_on_a_ray_cluster_of_which_one_is_killed_have_the_report_of_a_serial_run(
    serial, data_dir, tmp_path, monkeypatch
):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the extra ray is not installed")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # loopback alone
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    try:
        check_three_folds(serial, tmp_path, "hydra/launcher=ray", f"data_dir={data_dir}")
    finally:
        cluster.shutdown()


def test_a_job_that_fails_ends_the_command_with_its_name_and_the_others_go_on(finished_run, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra joblib is not installed")
    words = ("compare", "--multirun", f"runs={finished_run},missing", "hydra/launcher=joblib", "output_dir=compared")
    result = ser(*words, cwd=tmp_path, env=workers_that_fork(tmp_path), python=sys.executable)
    assert result.returncode == 1
    begin, failed, last = result.stderr.splitlines()
    assert re.fullmatch(r"ser: 2 jobs by joblib; their output: \S+/runs/.multirun/\S+/0.log to 1.log", begin)
    assert failed.startswith("ser: runs=missing: runs=missing: no finished run there; its output: ")
    assert last == "ser: 1 of 2 jobs failed: runs=missing."
    assert "UAR" in next(tmp_path.glob("runs/.multirun/*/0.log")).read_text()


def test_a_launcher_whose_jobs_are_not_followed_is_refused(finished_run, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra joblib is not installed")
    target = "hydra.launcher._target_=hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    words = (
        "compare", "--multirun", f"runs={finished_run},missing", target, "+hydra.launcher.n_jobs=2",
        "output_dir=compared",
    )  # fmt: skip
    result = ser(*words, cwd=tmp_path, python=sys.executable)
    assert result.returncode == 1
    assert "name it on the command line, as hydra/launcher=NAME" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "compared").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "hydra/launcher=joblib"], "hydra/launcher=joblib: it runs the jobs of a sweep; give --multirun"),
        (["train", "--multirun", "seed=0,1", "hydra/launcher=jblib"], "did you mean joblib?; choices of 'hydra/launch"),
    ],
)
def test_a_launcher_that_cannot_run_is_named(words, message, tmp_path):
    result = ser(*words, cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'hydra/launcher=submitit_slurm needs .*: pip install "ser-finetune\[slurm\]"'):
        chosen_launcher(["--multirun", "hydra/launcher=submitit_slurm"])


def test_a_config_is_printed_without_the_extra_of_its_launcher(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert chosen_launcher(["--cfg", "job", "hydra/launcher=ray"]) == launching.BASIC


@pytest.mark.parametrize(
    ("typed", "keys", "command"),
    [
        (
            ["--multirun", "protocol=emobox", FOLDS],
            {"protocol.fold"},
            "ser train protocol=emobox protocol.fold=null resume=true",
        ),
        (
            ["-m", FOLDS, "seeds=[0,1]", "only_seed=0,1", "hydra/launcher=ray", "resume=true"],
            {"protocol.fold", "only_seed"},
            "ser train 'seeds=[0,1]' only_seed=null protocol.fold=null resume=true",
        ),
        (["--multirun", FOLDS, "model=tiny,hubert_base"], {"protocol.fold", "model"}, ""),
    ],
)
def test_the_command_for_the_joint_report_leaves_out_what_was_swept(typed, keys, command):
    assert joint_command("train", typed, keys) == command


def test_a_job_that_was_never_started_is_named(tmp_path, capsys):
    sweep = Sweep("joblib", "train", tmp_path, ["seed=0", "seed=1"], "")
    sweep.status(0).write_text('{"status": 0}')
    with pytest.raises(UserError, match="1 of 2 jobs failed: seed=1"), sweep.waiting():
        pass
    assert "seed=1: it did not start" in capsys.readouterr().err


def test_the_error_of_a_launcher_is_one_line(tmp_path):
    sweep = Sweep("submitit_slurm", "train", tmp_path, ["seed=0"], "")
    with (
        pytest.raises(UserError, match=r"^hydra/launcher=submitit_slurm: no srun; 1 of 1 jobs failed"),
        sweep.waiting(),
    ):
        raise RuntimeError("no srun")


@pytest.mark.parametrize(("launcher", "fate"), [("joblib", "were killed"), ("submitit_slurm", "may go on")])
def test_an_interrupted_command_says_what_becomes_of_its_jobs(launcher, fate, tmp_path):
    sweep = Sweep(launcher, "train", tmp_path, ["seed=0"], "")
    with pytest.raises(Interrupted, match=rf"^interrupted; .* {fate}; the same command goes on"), sweep.waiting():
        raise KeyboardInterrupt


def test_two_jobs_hold_two_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with held_gpu(tmp_path, find_gpus()) as first, held_gpu(tmp_path, find_gpus()) as second:
        assert (first, second) == ("3", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_gpus() == []
