"""One training in several processes, beside the same in one."""

import json
import os
import shutil
import signal
import subprocess
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import prepare_toy, write_corpus
from helpers.commands import PYTHON
from helpers.compositions import SMALL
from helpers.process_groups import finish, start, start_each
from safetensors.numpy import load_file

QUICK = (*SMALL, "tracking=none", "trainer.precision=fp32", "corpus.name=ravdess")
NOTHING_RANDOM = tuple(
    f"model.encoder_config.{name}_dropout=0" for name in ("hidden", "attention", "activation", "feat_proj")
)
EVERY_STEP = ("trainer.eval_steps=4", "trainer.save_steps=4", "trainer.logging_steps=2", "trainer.max_steps=8")
PAPER = ("trainer=paper", *EVERY_STEP)
RECIPES = {
    "paper": (2, PAPER),
    "paper, balanced": (2, (*PAPER, "trainer.balanced_sampling=true")),
    "fast": (2, ("trainer=fast", "model.freeze=cnn", *EVERY_STEP)),
    "three processes, uneven ends of epochs": (
        3,
        ("trainer=scratch", "trainer.num_train_epochs=2", "trainer.per_device_train_batch_size=3",
         "trainer.per_device_eval_batch_size=5", "trainer.gradient_accumulation_steps=2",
         "trainer.class_weights=balanced"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A prepared corpus of seven actors, of which each epoch has an incomplete last step."""
    folder = tmp_path_factory.mktemp("small")
    return prepare_toy(write_corpus(folder / "root", actors=range(1, 8), seconds=0.15), folder / "data")


@pytest.fixture(scope="module")
def trained_alone(small, tmp_path_factory):
    """A function that gives the folder of a recipe's run in one process, and what it printed to its errors."""

    @cache
    def train(recipe):
        folder = tmp_path_factory.mktemp("alone") / "run"
        data = shutil.copytree(small, folder.with_name("data"))  # features are cached there
        [errors] = succeed(1, *command(data, folder, *RECIPES[recipe][1]))
        return folder, errors

    return train


@pytest.fixture(scope="module")
def whole(trained_alone):
    """An uninterrupted run of the paper's recipe in one process."""
    folder, _ = trained_alone("paper")
    return folder


def command(data_dir, folder, *overrides):
    return ["-m", "ser", "train", *QUICK, *NOTHING_RANDOM, f"data_dir={data_dir}", f"output_dir={folder}", *overrides]


def succeed(size, *arguments):
    """Run a command in several processes, or in one; return what each printed to its errors."""
    ends = finish(start(size, *arguments))
    assert [status for status, *_ in ends] == [0] * size, ends
    return [errors for _, _, errors in ends]


def state(folder):
    last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    return json.loads((last / "trainer_state.json").read_text())


def log_of(folder, key):
    return [entry[key] for entry in state(folder)["log_history"] if key in entry]


def files(folder):
    """The files of a run; each process has its own random numbers."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if "/rng_state" not in name}


def same_weights(one, other):
    """Weights are equal but for rounding: Adam moves one by up to 8e-4 here (8 steps of 1e-4)."""
    weights, others = (load_file(folder / "checkpoint" / "model.safetensors") for folder in (one, other))
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        if name.endswith("k_proj.bias"):
            continue  # adds the same to all scores of a softmax: its gradient is rounding, which Adam scales up
        np.testing.assert_allclose(others[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("recipe", RECIPES)
def test_several_processes_train_as_one_does(recipe, trained_alone, small, tmp_path):
    size, overrides = RECIPES[recipe]
    one, alone = trained_alone(recipe)
    several, data = tmp_path / "several", shutil.copytree(small, tmp_path / "data")
    first, *others = succeed(size, *command(data, several, *overrides))
    losses = log_of(one, "loss")
    assert len(losses) >= 2
    np.testing.assert_allclose(log_of(several, "loss"), losses, rtol=2e-5)
    assert log_of(several, "accuracy") == log_of(one, "accuracy")
    np.testing.assert_allclose(log_of(several, "eval_loss"), log_of(one, "eval_loss"), rtol=2e-5)
    same_weights(one, several)
    tested = pd.read_csv(several / "predictions.csv")
    assert tested["path"].is_unique
    assert tested["path"].tolist() == pd.read_csv(one / "predictions.csv")["path"].tolist()
    # The folder is written once, and the log has one line more: that of the processes.
    assert files(several) == files(one)
    assert others == [""] * (size - 1)
    assert len(first.splitlines()) == len(alone.splitlines()) + 1
    assert f"{size} processes train together" in first


def test_another_number_of_processes_goes_on_with_a_run(whole, small, tmp_path):
    interrupted = command(small, tmp_path / "run", *PAPER)
    succeed(2, *interrupted)
    for name in ("checkpoint-8", "checkpoint", "environment.json"):
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    [errors] = succeed(1, *interrupted, "resume=true")
    assert "checkpoint-4" in errors
    assert "a run of 2 processes goes on in 1" in errors
    same_weights(whole, tmp_path / "run")


def lines(ends):
    return [line for _, _, errors in ends for line in errors.splitlines() if line.startswith("ser: ")]


def test_what_the_first_process_refuses_is_one_line_and_ends_all(small, tmp_path):
    arguments = command(small, tmp_path / "run", "trainer=paper", "trainer.max_steps=1")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("the user's")
    ends = finish(start(2, *arguments))
    assert [status for status, *_ in ends] == [1, 1]
    assert lines(ends) == [f"ser: output_dir={tmp_path}/run: it exists and holds no run; give another output_dir"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_misspelt_key_is_one_line(tmp_path):
    ends = finish(start(2, "-m", "ser", "train", "trainer.max_step=1", cwd=tmp_path))
    assert [status for status, *_ in ends] == [1, 1]
    assert len(lines(ends)) == 1


def test_a_process_that_sees_another_corpus_is_named_by_the_first(small, tmp_path):
    for name in ("here", "there"):
        shutil.copytree(small, tmp_path / name / "data")
    with (tmp_path / "there" / "data" / "manifest.csv").open("a", encoding="utf-8") as manifest:
        manifest.write("damaged\n")
    arguments = command("data", tmp_path / "run", "trainer=paper", "trainer.max_steps=1")
    ends = finish(start(2, *arguments, cwd=[tmp_path / "here", tmp_path / "there"]))
    assert [status for status, *_ in ends] == [1, 1]
    [line] = lines(ends)
    assert line.startswith(f"ser: process 1 on {os.uname().nodename}: data")
    assert not (tmp_path / "run").exists()


SIGNALLED = """
import os, signal, sys
from ser import cli
from ser.training.trainer import EmotionTrainer

number, step = int(sys.argv.pop(1)), EmotionTrainer.training_step

def signalled(self, *args, **kwargs):
    if self.state.global_step == 5:
        os.kill(os.getpid(), number)
    return step(self, *args, **kwargs)

EmotionTrainer.training_step = signalled
cli.main()
"""


def signal_second(number, arguments):
    """Send a signal to the second of two processes in its sixth step; return how both end."""
    return finish(start_each([arguments, ["-c", SIGNALLED, str(int(number)), *arguments[2:]]]))


def test_the_end_of_one_process_is_one_line_and_resume_goes_on(whole, small, tmp_path):
    arguments = command(small, tmp_path / "run", *PAPER)
    ends = signal_second(signal.SIGKILL, arguments)
    assert [status for status, *_ in ends] == [1, -signal.SIGKILL]
    [line] = lines(ends)
    assert line.startswith("ser: another process of this training has ended")
    assert line.endswith(f"the same command with resume=true goes on with {tmp_path}/run")
    succeed(2, *arguments, "resume=true")
    same_weights(whole, tmp_path / "run")


def test_a_signal_to_one_process_ends_all_with_a_checkpoint_of_the_step(whole, small, tmp_path):
    arguments = command(small, tmp_path / "run", *PAPER, "resume=auto")
    ends = signal_second(signal.SIGTERM, arguments)
    assert [status for status, *_ in ends] == [75, 75]
    assert lines(ends) == [f"ser: interrupted; the same command goes on with {tmp_path}/run"]
    assert (tmp_path / "run" / "checkpoint-6" / "model.safetensors").is_file()
    succeed(2, *arguments)
    same_weights(whole, tmp_path / "run")
    assert log_of(tmp_path / "run", "accuracy") == log_of(whole, "accuracy")
    np.testing.assert_allclose(log_of(tmp_path / "run", "loss"), log_of(whole, "loss"), rtol=2e-5)


@pytest.mark.parametrize("name", ["evaluate", "prepare_data"])
def test_other_commands_are_refused_in_several_processes(name, tmp_path):
    ends = finish(
        start(2, "-m", "ser", name.replace("_", "-"), "checkpoint=x" if name == "evaluate" else "root=x", cwd=tmp_path)
    )
    assert [status for status, *_ in ends] == [1, 1]
    [line] = lines(ends)
    assert "only `ser train` runs in several processes" in line


SHARDED = """
from accelerate import state
from accelerate.utils import DistributedType
from ser import cli

init = state.PartialState.__init__

def init_as_on_gpus(self, cpu=False, **kwargs):
    init(self, cpu, **kwargs)
    if self.distributed_type is DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU

state.PartialState.__init__ = init_as_on_gpus
cli.main()
"""
"""accelerate spreads models over GPUs alone, although PyTorch does it on CPUs as well."""


def test_a_model_that_is_spread_over_processes_trains_as_a_whole_one_and_goes_on(whole, small, tmp_path):
    arguments = command(small, tmp_path / "run", "trainer=fsdp", *EVERY_STEP)
    sharded = ["-c", SHARDED, *arguments[2:]]
    succeed(2, *sharded)
    same_weights(whole, tmp_path / "run")
    for name in ("checkpoint-8", "checkpoint", "environment.json"):
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    succeed(2, *sharded, "resume=true")
    same_weights(whole, tmp_path / "run")


def test_spreading_a_model_without_gpus_is_refused(small, tmp_path):
    ends = finish(start(1, *command(small, tmp_path / "run", "trainer=fsdp", *EVERY_STEP)))
    assert lines(ends) == [
        "ser: trainer.extra_training_args.fsdp: it spreads a model over GPUs; start a process for each, with torchrun"
    ]


def test_under_torchrun_a_mistake_is_one_line_of_ours(tmp_path):
    agent = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ser"]
    end = subprocess.run([*agent, "train", "trainer.max_step=1"], cwd=tmp_path, capture_output=True, text=True)
    assert end.returncode == 1
    [line] = [line for line in end.stderr.splitlines() if line.startswith("ser: ")]
    assert "did you mean max_steps?" in line
