import json
import logging
import threading
from types import SimpleNamespace

import psutil
import pytest
import torch
from helpers.tiny_trainers import AtStep, equal, ready, slow, weights_and_moments
from safetensors.torch import load_file

from ser.training import checkpoint_folders, checkpointing

BACKGROUND = ("trainer.background_checkpoints=true", "trainer.eval_steps=1", "trainer.save_steps=1")


def test_a_checkpoint_holds_its_step_however_late_it_is_written(prepared, tmp_path, monkeypatch):
    trainer = ready(
        prepared,
        tmp_path,
        "trainer.background_checkpoints=true",
        "trainer.max_steps=4",
        "trainer.lr_scheduler_type=constant",
    )
    gate, write, at_two, at_three = threading.Event(), checkpointing.write, [], []
    monkeypatch.setattr(checkpointing, "write", lambda *what: (gate.wait(10), write(*what)))
    trainer.add_callback(AtStep(2, lambda: at_two.extend(weights_and_moments(trainer))))
    trainer.add_callback(AtStep(3, lambda: (at_three.extend(weights_and_moments(trainer)), gate.set())))
    trainer.train()
    checkpoint = tmp_path / "run" / "checkpoint-2"
    weights = load_file(checkpoint / "model.safetensors")
    optimizer = torch.load(checkpoint / "optimizer.pt")["state"]
    moments = {index: value["exp_avg"] for index, value in optimizer.items()}
    assert equal(weights, at_two[0])
    assert equal(moments, at_two[1])
    assert {value["step"].item() for value in optimizer.values()} == {2}
    assert torch.load(checkpoint / "scheduler.pt")["last_epoch"] == 2
    assert json.loads((checkpoint / "trainer_state.json").read_text())["global_step"] == 2
    assert not equal(weights, at_three[0])
    assert not equal(moments, at_three[1])


def whole(folder):
    return [
        checkpoint_folders.step_of(path)
        for path in checkpoint_folders.list_checkpoints(folder)
        if checkpoint_folders.read_state(path)
    ]


@pytest.fixture
def slowly(monkeypatch):
    """Checkpoints that take longer to write than a step of the toy."""
    write = checkpointing.write
    monkeypatch.setattr(checkpointing, "write", lambda *what: (slow([]), write(*what)))


def test_training_ends_when_the_last_byte_is_written_and_the_best_weights_are_back(prepared, tmp_path, slowly):
    trainer = ready(prepared, tmp_path, *BACKGROUND, "trainer.save_total_limit=9")
    trainer.train()
    assert whole(tmp_path / "run") == [1, 2]
    best = load_file(f"{trainer.state.best_model_checkpoint}/model.safetensors")
    assert equal(best, trainer.model.state_dict())


def test_a_training_that_stops_with_its_best_checkpoint_in_flight_reads_that_one_back(prepared, tmp_path, slowly):
    trainer = ready(prepared, tmp_path, "trainer.background_checkpoints=true", "trainer.max_steps=4")
    trainer.add_callback(AtStep(3, lambda: setattr(trainer.control, "should_training_stop", True)))
    trainer.train()
    assert trainer.state.global_step == 3
    assert equal(load_file(tmp_path / "run" / "checkpoint-2" / "model.safetensors"), trainer.model.state_dict())


def test_the_memory_holds_one_snapshot_at_a_time(prepared, tmp_path, slowly, monkeypatch):
    trainer, taken, under_way = (
        ready(prepared, tmp_path, *BACKGROUND, "trainer.max_steps=3"),
        checkpointing.snapshot,
        [],
    )
    monkeypatch.setattr(
        checkpointing, "snapshot", lambda state: (under_way.append(trainer.writer._running), taken(state))[1]
    )
    trainer.train()
    assert under_way == 6 * [None]  # weights, optimizer and scheduler of two checkpoints


def test_an_interrupted_training_still_ends_its_checkpoint(prepared, tmp_path, slowly, monkeypatch):
    trainer, gate, write = ready(prepared, tmp_path, *BACKGROUND), threading.Event(), checkpointing.write
    monkeypatch.setattr(checkpointing, "write", lambda *what: (gate.wait(10), write(*what)))

    def interrupt():
        assert whole(tmp_path / "run") == []
        gate.set()
        raise KeyboardInterrupt

    trainer.add_callback(AtStep(2, interrupt))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert whole(tmp_path / "run") == [1]


def test_older_checkpoints_stay_until_the_new_one_is_whole(prepared, tmp_path, monkeypatch):
    trainer, sync, seen = ready(prepared, tmp_path, *BACKGROUND, "trainer.max_steps=4"), checkpointing.sync, []

    def synced(checkpoint):
        sync(checkpoint)
        seen.append((checkpoint_folders.step_of(checkpoint), len(whole(tmp_path / "run"))))

    monkeypatch.setattr(checkpointing, "sync", synced)
    trainer.train()
    assert seen == [(1, 0), (2, 1), (3, 2)]  # the last one is not the thread's
    assert len(whole(tmp_path / "run")) == 2


@pytest.mark.parametrize("background", ["true", "false"])
def test_every_checkpoint_holds_weights_and_the_state_of_the_optimizer(background, prepared, tmp_path):
    ready(
        prepared, tmp_path, *BACKGROUND, f"trainer.background_checkpoints={background}", "trainer.max_steps=4",
        "trainer.save_total_limit=9",
    ).train()  # fmt: skip
    for path in checkpoint_folders.list_checkpoints(tmp_path / "run"):
        for name in (checkpoint_folders.OPTIMIZER, checkpoint_folders.SCHEDULER, "model.safetensors"):
            assert (path / name).is_file()
    assert whole(tmp_path / "run") == [1, 2, 3, 4]


class Quantized(torch.Tensor):
    pass


def test_states_that_only_pretend_to_be_copied_are_not_left_to_the_thread(prepared, tmp_path):
    trainer = ready(prepared, tmp_path, *BACKGROUND, "trainer.optim=sgd")
    trainer.create_optimizer()
    trainer.optimizer.state[trainer.model.classifier.bias] = {"exp_avg": torch.ones(2)}
    assert trainer.why_not() is None
    trainer.optimizer.state[trainer.model.classifier.bias] = {"exp_avg": torch.ones(2).as_subclass(Quantized)}
    assert trainer.why_not() == "a CPU cannot copy the states of trainer.optim=sgd"


def test_training_waits_for_its_checkpoints_where_the_memory_has_no_room_for_a_copy(
    prepared, tmp_path, monkeypatch, caplog
):
    trainer = ready(prepared, tmp_path, *BACKGROUND)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(trainer.writer, "start", lambda work: pytest.fail("the thread was given work"))
    with caplog.at_level(logging.INFO, "ser"):
        trainer.train()
    assert caplog.text.count("training waits for its checkpoints, because a copy takes 0.00 GB of memory") == 1
    assert whole(tmp_path / "run") == [1, 2]
