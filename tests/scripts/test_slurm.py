"""The batch sheets of scripts/slurm, with stand-ins for SLURM's commands: what they start, and when they requeue."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SHEETS = Path(__file__).resolve().parents[2] / "scripts" / "slurm"
STAND_INS = {
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"',
    "ser": 'echo "RANK=$RANK LOCAL_RANK=$LOCAL_RANK WORLD_SIZE=$WORLD_SIZE MASTER_ADDR=$MASTER_ADDR: $*"\nexit $STATUS',
    "scontrol": 'if [ "$1" = show ]; then printf "first\\nsecond\\n"; else echo "scontrol $*"; fi',
}


@pytest.fixture
def submit(tmp_path):
    """Run a sheet as SLURM does; give its status and what it printed."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)

    def run(sheet, *words, status=0, **environment):
        variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STATUS": str(status), **environment}
        command = ["bash", str(SHEETS / sheet), *words]
        result = subprocess.run(command, env=variables, capture_output=True, text=True)
        assert result.stderr == ""
        return result.returncode, result.stdout.splitlines()

    return run


ARRAY = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "8", "SEEDS": "0 5 9"}
NODES = {
    "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NTASKS": "8", "SLURM_PROCID": "6", "SLURM_LOCALID": "2",
}  # fmt: skip


def test_the_task_of_an_array_trains_its_fold_and_seed(submit):
    status, (command,) = submit("folds.sbatch", "protocol=emobox", "model=tiny", **ARRAY)
    assert status == 0
    words = "train protocol=emobox model=tiny protocol.fold=3 seeds=[0,5,9] only_seed=5 resume=auto"
    assert command.endswith(f": {words}")


def test_every_task_of_an_array_is_another_fold_and_seed(submit):
    commands = {
        submit("folds.sbatch", **{**ARRAY, "SLURM_ARRAY_TASK_ID": str(task), "FOLDS": "2"})[1][0] for task in range(6)
    }
    assert len(commands) == 6


@pytest.mark.parametrize(("sheet", "job", "number"), [("folds.sbatch", ARRAY, "7_8"), ("nodes.sbatch", NODES, "7")])
@pytest.mark.parametrize(("status", "ends_with"), [(0, 0), (75, 0), (1, 1), (137, 137)])
def test_a_job_that_a_signal_ended_is_requeued_and_no_other(submit, sheet, job, number, status, ends_with):
    ended, lines = submit(sheet, status=status, **job)
    assert ended == ends_with
    assert lines[1:] == [f"scontrol requeue {number}"] * (status == 75)


def test_each_process_of_several_machines_gets_its_rank(submit):
    _, (command,) = submit("nodes.sbatch", "model=xlsr_1b", "data_dir=my data", **NODES)
    assert command.startswith(
        "RANK=6 LOCAL_RANK=2 WORLD_SIZE=8 MASTER_ADDR=first: train model=xlsr_1b data_dir=my data"
    )


def test_the_report_is_about_all_seeds(submit):
    _, (command,) = submit("report.sbatch", "protocol=emobox", SEEDS="0 5")
    assert command.endswith(": train protocol=emobox seeds=[0,5] resume=true")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_sheets_are_clean_shell():
    subprocess.run(["shellcheck", *SHEETS.glob("*.sbatch")], check=True)
