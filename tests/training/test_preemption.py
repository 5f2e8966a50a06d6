"""A signal ends training with a checkpoint of the step, and the resumed run is that of no signal."""

import csv
import signal

import pytest
import torch
from conftest import composed, write_corpus
from helpers.tiny_runs import run
from helpers.tiny_trainers import AtStep
from safetensors.torch import load_file

from ser import config, ending
from ser.data.preparation import prepare
from ser.errors import Interrupted
from ser.experiments import train
from ser.training import checkpoint_folders
from ser.training.callbacks import add_callbacks

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

    monkeypatch.setattr(train, "add_callbacks", add)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """48 clips, prepared: an epoch of `trainer=paper` is four whole steps and a last one of half the size."""
    folder = tmp_path_factory.mktemp("few")
    root, corpus = write_corpus(folder / "corpus", actors=range(1, 4)), config.Corpus("ravdess")
    prepare(corpus, composed("train", *PROTOCOL).protocol, str(root), str(folder / "data"), config.Audit.warn)
    return folder / "data"


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
    for step, number in zip((2, 5, 8), ending.SIGNALS, strict=True):
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
    one, other = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert results(tmp_path / "run") == results(tmp_path / "whole")
