import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.tiny_trainers import ready
from safetensors.torch import load_file, save_file
from transformers import EarlyStoppingCallback, TrainerCallback

from ser import checksums
from ser.config import Corpus
from ser.data.prepared_corpus import open_prepared
from ser.errors import UserError
from ser.training import best, checkpoint_folders
from ser.training.trainer import EmotionTrainer

EACH_STEP = ("trainer.eval_steps=1", "trainer.save_steps=1", "trainer.save_total_limit=9")

EVALUATE = EmotionTrainer.evaluation_loop


class Removing(TrainerCallback):
    """Does something to the checkpoint of a step as soon as the next step is over."""

    def __init__(self, step, what):
        self.step, self.what = step, what

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step + 1:
            self.what(checkpoint_folders.checkpoint_path(Path(args.output_dir), self.step))


def figures(trainer, monkeypatch, *values):
    """Have the evaluations give these losses, whatever the weights are."""
    given = iter(values)

    def loop(self, *args, **kwargs):
        output = EVALUATE(self, *args, **kwargs)
        output.metrics["eval_loss"] = next(given)
        return output

    monkeypatch.setattr(type(trainer), "evaluation_loop", loop)


@pytest.fixture(scope="module")
def four_steps(data_dir, tmp_path_factory):
    """A trainer after four steps, the second of them the best, and the folder of its run."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        trainer = ready(open_prepared(str(data_dir), Corpus("ravdess")), folder, *EACH_STEP, "trainer.max_steps=4")
        figures(trainer, patch, 4.0, 1.0, 3.0, 2.0)
        trainer.train()
    return trainer, folder / "run"


@pytest.fixture
def trained(four_steps, tmp_path):
    """That trainer, with a copy of its run in the test's own folder."""
    trainer, run = four_steps
    shutil.copytree(run, tmp_path / "run")
    return trainer


def test_a_run_ends_with_the_weights_of_its_best_step(trained, tmp_path):
    stored = load_file(tmp_path / "run" / "checkpoint-2" / "model.safetensors")
    assert trained.state.best_global_step == 2
    assert all(torch.equal(tensor, stored[name]) for name, tensor in trained.model.state_dict().items())


@pytest.mark.parametrize("what", ["gone", "others"])
def test_a_run_whose_best_weights_were_removed_or_replaced_never_passes_others_off_as_them(
    what, prepared, tmp_path, monkeypatch
):
    trainer = ready(prepared, tmp_path, *EACH_STEP, "trainer.max_steps=4")
    figures(trainer, monkeypatch, 4.0, 1.0, 3.0, 2.0)

    def spoil(checkpoint):
        if what == "gone":
            shutil.rmtree(checkpoint)
        else:
            shutil.copy(checkpoint.parent / "checkpoint-1" / "model.safetensors", checkpoint)

    trainer.add_callback(Removing(2, spoil))
    with pytest.raises(UserError, match=r"checkpoint-2.* is (gone|damaged): the run ends with the weights of step 2"):
        trainer.train()


def test_weights_that_do_not_fit_are_refused(trained, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint-2"
    weights = load_file(checkpoint / "model.safetensors")
    del weights["classifier.bias"]
    save_file(weights, checkpoint / "model.safetensors")
    assert "classifier.bias does not belong" in best.load_weights(trained.model, checkpoint)


def damage(path):
    path.write_bytes(path.read_bytes()[:-9])


def test_a_damaged_checkpoint_is_named_and_the_one_before_resumed_from(trained, tmp_path, caplog):
    run = tmp_path / "run"
    damage(run / "checkpoint-4" / "optimizer.pt")
    with caplog.at_level(logging.WARNING, "ser"):
        assert best.find_resume_point(run) == run / "checkpoint-3"
    assert "checkpoint-4/optimizer.pt is damaged: going on from checkpoint-3 instead" in caplog.text


def test_a_run_whose_best_checkpoint_is_lost_goes_on_from_before_it(trained, tmp_path, caplog):
    run = tmp_path / "run"
    shutil.rmtree(run / "checkpoint-2")
    with caplog.at_level(logging.WARNING, "ser"):
        assert best.find_resume_point(run) == run / "checkpoint-1"
    assert "checkpoint-2 is gone, the best checkpoint so far: going on from checkpoint-1 instead" in caplog.text


def test_a_run_that_lost_its_best_checkpoint_and_all_before_is_refused(trained, tmp_path):
    run = tmp_path / "run"
    for step in (1, 2):
        shutil.rmtree(run / f"checkpoint-{step}")
    with pytest.raises(UserError, match="checkpoint-2 is gone, the best checkpoint so far; put it back, or"):
        best.find_resume_point(run)
    assert len(checkpoint_folders.list_checkpoints(run)) == 2


def test_a_moved_run_folder_is_resumed(trained, tmp_path):
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert best.find_resume_point(tmp_path / "moved") == tmp_path / "moved" / "checkpoint-4"


def test_a_run_that_ended_is_not_trained_a_step_more(trained, prepared, tmp_path, monkeypatch):
    again = ready(prepared, tmp_path, *EACH_STEP, "trainer.max_steps=4")
    again.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-4"))
    assert again.state.global_step == 4
    one, other = trained.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_evaluations_without_a_finite_figure_give_no_best_weights(trained, tmp_path):
    state = replace(trained.state, best_global_step=None)
    with pytest.raises(UserError, match="no best checkpoint, the evaluations gave no finite figure"):
        best.load_best(trained.model, tmp_path / "run", state)


@pytest.mark.parametrize("stopped_at", [3, 4])
def test_a_resumed_run_stops_early_where_an_uninterrupted_one_does(stopped_at, prepared, tmp_path, monkeypatch):
    losses = {1: 4.0, 2: 1.0, 3: 3.0, 4: 2.0, 5: 2.0, 6: 0.5}
    given = (*EACH_STEP, "trainer.max_steps=6")
    trainer = ready(prepared, tmp_path, *given)
    figures(trainer, monkeypatch, *(losses[step] for step in range(1, stopped_at + 1)))
    trainer.add_callback(EarlyStoppingCallback(3))

    class Killed(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if state.global_step == stopped_at:
                raise KeyboardInterrupt

    trainer.add_callback(Killed())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    again = ready(prepared, tmp_path, *given)
    again.add_callback(EarlyStoppingCallback(3))
    figures(again, monkeypatch, *(losses[step] for step in range(stopped_at + 1, 7)))
    again.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{stopped_at}"))
    assert again.state.global_step == 5
    assert again.state.best_global_step == 2


def test_a_checkpoint_of_each_step_is_stamped_with_its_step(prepared, tmp_path):
    trainer = ready(prepared, tmp_path, *EACH_STEP, "trainer.background_checkpoints=true")
    trainer.model.config.ser = {"step": 0}
    trainer.train()
    for step in (1, 2):
        stored = json.loads((tmp_path / "run" / f"checkpoint-{step}" / "config.json").read_text())
        assert stored["ser"]["step"] == step


class Attack:
    """What a stranger may hide in a file of PyTorch."""

    def __reduce__(self):
        return (Path.touch, (Path("attacked"),))


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_pickle_in_a_checkpoint_is_never_run(name, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ready(prepared, tmp_path, *EACH_STEP).train()
    checkpoint = tmp_path / "run" / "checkpoint-1"
    (checkpoint / checksums.FILE).unlink()
    torch.save({"step": Attack()}, checkpoint / name)
    with pytest.raises(UserError, match="checkpoint-1 is damaged or holds more than tensors, and was not run"):
        ready(prepared, tmp_path, *EACH_STEP).train(resume_from_checkpoint=str(checkpoint))
    assert not (tmp_path / "attacked").exists()
