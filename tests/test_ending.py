import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import ser

from ser.console import logging_to
from ser.errors import UserError

# Runs `ser compare runs=x` and interrupts it where {module} is imported.
INTERRUPTED_BY_AN_IMPORT = """
import os, signal, sys
from ser.cli import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Interrupting())
sys.argv = ["ser", "compare", "runs=x"]
main()
"""

# Runs a command with another stage.
WITH_STAGE = """
import os, signal, sys, types
from ser.cli import main
from ser.errors import Interrupted, UserError

def stage(cfg):
    {body}

sys.modules["ser.commands.{stage}"] = types.SimpleNamespace({stage}=stage)
sys.argv = ["ser", "{stage}".replace("_", "-"), *{arguments}]
main()
"""


def run(program, **kwargs):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, **kwargs)


def run_stage(body, *arguments, stage="compare", **kwargs):
    lines = body.replace("\n", "\n    ")
    given = list(arguments or ("runs=x",) * (stage == "compare"))
    return run(WITH_STAGE.format(body=lines, arguments=given, stage=stage), **kwargs)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "module", ["ser.apps", "hydra", "omegaconf", "hydra.core.plugins", "ser.commands.compare", "numpy"]
)
def test_an_interrupted_import_is_one_line(module, number, tmp_path):
    result = run(INTERRUPTED_BY_AN_IMPORT.format(module=module, number=number), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (130, "ser: interrupted\n")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_an_interruption_has_the_line_of_the_command(number, tmp_path):
    body = (
        f"try: os.kill(os.getpid(), signal.{number})\n"
        "except KeyboardInterrupt as error: raise Interrupted('interrupted; resume=true goes on') from error"
    )
    result = run_stage(body, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (130, "ser: interrupted; resume=true goes on\n")


@pytest.mark.parametrize(
    ("stage", "number", "status"),
    [
        *(("train", *pair) for pair in (("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130))),
        *(("cross_corpus", "SIGTERM", 75), ("compare", "SIGUSR1", 130)),
    ],
)  # fmt: skip
def test_the_status_after_a_schedulers_signal_says_whether_the_same_command_goes_on(stage, number, status, tmp_path):
    result = run_stage(f"os.kill(os.getpid(), signal.{number})", stage=stage, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (status, "ser: interrupted\n")


def test_the_first_signal_decides_the_status(tmp_path):
    body = (
        "try: os.kill(os.getpid(), signal.SIGINT)\n"
        "finally: os.kill(os.getpid(), signal.SIGTERM)"
    )  # fmt: skip
    assert run_stage(body, stage="train", cwd=tmp_path).returncode == 130


@pytest.mark.parametrize(("number", "status", "printed"), [("SIGINT", 130, ""), ("SIGTERM", 0, "done\n")])
def test_only_another_ctrl_c_ends_what_an_interrupted_command_still_does(number, status, printed, tmp_path):
    body = (
        "try: os.kill(os.getpid(), signal.SIGTERM)\n"
        "except KeyboardInterrupt:\n"
        f"    os.kill(os.getpid(), signal.{number})\n"
        "    print('done')"
    )
    result = run_stage(body, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (status, printed, "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interruption_that_meets_a_finalizer_is_not_lost(number, tmp_path):
    body = (
        "class Finalized:\n"
        f"    def __del__(self): os.kill(os.getpid(), signal.{number})\n"
        "Finalized()\n"
        "import threading; threading.Event().wait(60)\n"
        "print('compared')"
    )
    result = run_stage(body, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "ser: interrupted\n")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_error_of_code_that_dropped_the_interruption_is_the_interruption(number, tmp_path):
    body = (
        f"try: os.kill(os.getpid(), signal.{number})\n"
        "except KeyboardInterrupt: pass\n"
        "raise ImportError('cannot load module more than once per process')"
    )
    result = run_stage(body, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "ser: interrupted\n")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_after_the_last_line_ends_in_no_traceback(number, tmp_path):
    body = f"import atexit; atexit.register(os.kill, os.getpid(), signal.{number}); print('compared')"
    result = run_stage(body, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "compared\n", "")


def test_a_signal_after_the_last_line_of_a_training_has_its_status(tmp_path):
    body = "import atexit; atexit.register(os.kill, os.getpid(), signal.SIGTERM); print('trained')"
    result = run_stage(body, stage="train", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (75, "trained\n", "")


def test_a_command_in_the_background_is_not_interrupted_from_the_terminal(tmp_path):
    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    result = run_stage("os.kill(os.getpid(), signal.SIGINT)\nprint('done')", cwd=tmp_path, preexec_fn=ignore)
    assert (result.returncode, result.stdout) == (0, "done\n")


def test_a_reader_that_is_gone_ends_a_command_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([sys.executable, "-m", "ser", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_job_that_fails_does_not_end_the_others_of_a_sweep(tmp_path):
    body = "if cfg.runs != ['b']: raise UserError(f'no run {cfg.runs[0]}')\nprint('compared')"
    result = run_stage(body, "--multirun", "runs=a,b,c", "published=true", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "compared\n")
    assert list(tmp_path.iterdir()) == []
    assert result.stderr.splitlines() == [
        "ser: runs=a: no run a",
        "ser: runs=c: no run c",
        "ser: 2 of 3 jobs failed: runs=a; runs=c",
    ]


def test_an_interruption_ends_a_sweep(tmp_path):
    result = run_stage("print(cfg.runs)\nraise KeyboardInterrupt", "--multirun", "runs=a,b", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "['a']\n", "ser: interrupted\n")


def test_a_mistake_in_a_sweep_of_the_real_command_is_one_line_each(tmp_path):
    result = ser("prepare-data", "--multirun", "root=/nowhere1,/nowhere2", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "ser: root=/nowhere1: there is no such folder",
        "ser: root=/nowhere2: there is no such folder",
        "ser: 2 of 2 jobs failed: root=/nowhere1; root=/nowhere2",
    ]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise PermissionError(13, 'Permission denied', '/root/x')", "/root/x: Permission denied"),
        ("raise OSError(28, 'No space left on device')", "No space left on device"),
        ("open(cfg.output_dir + '/x/y')", None),
        ("open(cfg.output_dir)", "no/where: No such file or directory"),
        ("open('no')", "no: No such file or directory"),
        ("open('other')", None),
        ("raise UserError('a\\nb \\x1b[31m')", "a\\nb \\x1b[31m"),
        ("raise KeyError('x')", None),
    ],
)
def test_only_what_is_no_mistake_of_the_users_is_called_a_defect(body, line, tmp_path):
    result = run_stage(body, "runs=x", "output_dir=no/where", cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    if line is not None:
        assert result.stderr == f"ser: {line}\n"
        return
    assert result.stderr.startswith("ser: this is a defect of ser, ")
    kept = Path(result.stderr.split("its traceback is in ")[1].strip())
    assert "in stage" in kept.read_text()
    kept.unlink()


def test_the_log_of_a_run_keeps_the_traceback_of_a_defect(tmp_path):
    with pytest.raises(KeyError), logging_to(tmp_path / "run.log"):
        raise KeyError("lost")
    with pytest.raises(UserError), logging_to(tmp_path / "mistake.log"):
        raise UserError("a mistake")
    assert "Traceback" in (tmp_path / "run.log").read_text()
    assert (tmp_path / "mistake.log").read_text() == ""


def test_the_backend_of_a_notebook_does_not_matter(tmp_path):
    body = "import matplotlib\nprint(matplotlib.get_backend().lower())"
    environment = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline_missing"}
    result = run_stage(body, cwd=tmp_path, env=environment)
    assert (result.returncode, result.stdout) == (0, "agg\n"), result.stderr
