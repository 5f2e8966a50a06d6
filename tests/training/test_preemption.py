"""A signal ends training with a checkpoint of the step, and the resumed run is that of no signal."""

import csv
import json
import signal
from pathlib import Path

import pytest
from conftest import composed, write_corpus
from helpers.tiny_runs import run
from helpers.tiny_trainers import AtStep, ready
from safetensors.torch import load_file

from ser import config, ending
from ser.data.preparation import prepare
from ser.errors import Interrupted
from ser.experiments import fitting
from ser.training import checkpoint_folders
from ser.training.callbacks import add_callbacks
from ser.training.preemption import StopOnSignal
from ser.training.throughput import PhaseTimer

MASKED = (
    "+model.encoder_config.mask_time_length=2", "model.encoder_config.mask_time_prob=0.3",
    "model.encoder_config.apply_spec_augment=true", "model.encoder_config.layerdrop=0.3",
)  # fmt: skip
EVERY_FIVE = (
    "trainer.max_steps=12", "trainer.eval_steps=5", "trainer.save_steps=5", "trainer.logging_steps=5",
    "trainer.early_stopping_patience=2", "trainer.num_train_epochs=3",
)  # fmt: skip
RECIPES = {
    "paper": ("trainer=paper", *EVERY_FIVE, *MASKED),
    "fast": ("trainer=fast", "model.freeze=cnn", *EVERY_FIVE, *MASKED),
    "balanced, by epoch": (
        "trainer=laptop", "trainer.max_steps=-1", "trainer.num_train_epochs=2", "trainer.balanced_sampling=true",
        "trainer.bucket_by_length=true", "trainer.eval_strategy=epoch", *MASKED,
    ),
}  # fmt: skip
PROTOCOL = ("protocol=paper", "protocol.test_fraction=0.25")


def interrupt_at(step, number, monkeypatch):
    """Send a signal to this process at the end of a step of the next training."""

    def add(trainer, cost, bar):
        add_callbacks(trainer, cost, bar)
        trainer.add_callback(AtStep(step, lambda: signal.raise_signal(number)))

    monkeypatch.setattr(fitting, "add_callbacks", add)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """48 clips, prepared: an epoch of `trainer=paper` is four whole steps and a last one of half the size."""
    folder = tmp_path_factory.mktemp("few")
    root, corpus = write_corpus(folder / "corpus", actors=range(1, 4)), config.Corpus("ravdess")
    prepare(corpus, composed("train", *PROTOCOL).protocol, str(root), str(folder / "data"), config.Audit.warn)
    return folder / "data"


def weights(checkpoint):
    return {name: tensor.tolist() for name, tensor in load_file(checkpoint / "model.safetensors").items()}


def results(folder):
    """What two runs have in common, if nothing is lost: all but the times."""
    with (folder / "history.csv").open(newline="") as file:
        history = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    texts = [(folder / name).read_text() for name in ("predictions.csv", "classification_report.json")]
    return texts, history


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_signals_ended_again_and_again_is_that_of_no_signal(
    recipe, few, tmp_path, begin_command, monkeypatch
):
    words = (*RECIPES[recipe], *PROTOCOL, "resume=auto")
    run(few, tmp_path / "whole", *words)
    for step, number in zip((2, 5), ending.SIGNALS[1:], strict=True):  # amid an epoch, and at its end
        begin_command()
        with monkeypatch.context() as patch:
            interrupt_at(step, number, patch)
            with pytest.raises(Interrupted, match="the same command goes on with"):
                run(few, tmp_path / "run", *words)
        ended = checkpoint_folders.newest_resumable(tmp_path / "run")
        assert checkpoint_folders.step_of(ended) == step
        assert checkpoint_folders.find_fault(ended) is None
        assert not checkpoint_folders.has_ended(ended)
    run(few, tmp_path / "run", *words)
    assert weights(tmp_path / "run" / "checkpoint") == weights(tmp_path / "whole" / "checkpoint")
    last = checkpoint_folders.list_checkpoints(tmp_path / "whole")[-1].name
    assert weights(tmp_path / "run" / last) == weights(tmp_path / "whole" / last)
    assert results(tmp_path / "run") == results(tmp_path / "whole")


RARE_SAVES = ("trainer.max_steps=4", "trainer.save_steps=4")


def stop(trainer, asked):
    """Train until the trainer is asked to stop; return the state of the checkpoint that it leaves."""
    trainer.add_callback(StopOnSignal(asked))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    return checkpoint_folders.read_state(checkpoint_folders.list_checkpoints(Path(trainer.args.output_dir))[-1])


def evaluated(state):
    return [entry["step"] for entry in state["log_history"] if "eval_loss" in entry]


@pytest.mark.parametrize("background", ["true", "false"])
def test_the_checkpoint_of_the_step_is_whole_when_training_stops(background, prepared, tmp_path):
    trainer = ready(prepared, tmp_path, *RARE_SAVES, f"trainer.background_checkpoints={background}")
    state = stop(trainer, lambda: True)
    assert state["global_step"] == 1
    assert checkpoint_folders.find_fault(tmp_path / "run" / "checkpoint-1") is None


def test_an_evaluation_that_is_due_at_the_step_is_not_skipped(prepared, tmp_path):
    trainer = ready(prepared, tmp_path, *RARE_SAVES)
    state = stop(trainer, lambda: trainer.state.global_step == 2)
    assert (state["global_step"], evaluated(state), state["best_global_step"]) == (2, [2], 2)


def test_a_signal_during_an_evaluation_stops_training_after_it(prepared, tmp_path, monkeypatch):
    trainer, seen = ready(prepared, tmp_path, *RARE_SAVES), []
    evaluate = trainer.evaluation_loop
    monkeypatch.setattr(trainer, "evaluation_loop", lambda *args, **rest: (seen.append(1), evaluate(*args, **rest))[1])
    state = stop(trainer, lambda: bool(seen))
    assert (state["global_step"], evaluated(state), state["best_global_step"]) == (2, [2], 2)


def test_training_that_ends_at_the_step_says_so_and_is_not_stopped(prepared, tmp_path):
    trainer = ready(prepared, tmp_path)
    trainer.add_callback(StopOnSignal(lambda: trainer.state.global_step == 2))
    trainer.train()
    assert checkpoint_folders.has_ended(tmp_path / "run" / "checkpoint-2")


def resumed(prepared, tmp_path, change):
    """Stop at step 1, change what the checkpoint holds since the last entry of the log, and go on to the end."""
    stop(ready(prepared, tmp_path, *RARE_SAVES), lambda: True)
    change(tmp_path / "run" / "checkpoint-1" / checkpoint_folders.INTERVAL)
    trainer = ready(prepared, tmp_path, *RARE_SAVES)
    trainer.callback_handler.callbacks.insert(0, PhaseTimer())  # as `build_trainer` does
    trainer.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
    return trainer.state


def test_the_time_since_the_last_entry_of_the_log_counts_too(prepared, tmp_path):
    def add_time(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 1000.0}))

    assert resumed(prepared, tmp_path, add_time).log_history[-1]["seconds"] > 1000


def test_a_checkpoint_of_an_earlier_release_is_gone_on_with(prepared, tmp_path):
    assert resumed(prepared, tmp_path, lambda path: path.unlink()).global_step == 4
