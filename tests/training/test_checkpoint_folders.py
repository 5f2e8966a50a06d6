import json
import shutil
from collections import namedtuple

import pytest
from conftest import composed
from safetensors import SafetensorError

from ser.errors import UserError
from ser.training import checkpoint_folders


def written(folder, *steps, optimizer=True, best=None, state=None):
    """Whole checkpoints, as far as their folders tell."""
    for step in steps:
        checkpoint = folder / f"checkpoint-{step}"
        checkpoint.mkdir()
        name = None if best is None else f"/elsewhere/checkpoint-{best}"
        (checkpoint / "trainer_state.json").write_text(state or json.dumps({"best_model_checkpoint": name}))
        if optimizer:
            (checkpoint / "scheduler.pt").touch()


def steps(folder):
    return [checkpoint_folders.step_of(path) for path in checkpoint_folders.list_checkpoints(folder)]


def test_a_checkpoint_whose_writing_was_interrupted_is_not_resumed_from(tmp_path):
    written(tmp_path, 100, 900)
    written(tmp_path, 1000, state='{"cut')
    (tmp_path / "checkpoint-1100").mkdir()
    assert checkpoint_folders.newest_resumable(tmp_path) == tmp_path / "checkpoint-900"
    assert checkpoint_folders.newest_resumable(tmp_path / "checkpoint-100") is None


def test_a_checkpoint_in_flight_is_not_resumed_from(tmp_path):
    written(tmp_path, 9, 10)
    checkpoint_folders.begin(tmp_path / "checkpoint-10")
    assert checkpoint_folders.newest_resumable(tmp_path) == tmp_path / "checkpoint-9"
    checkpoint_folders.complete(tmp_path / "checkpoint-10", 2, None)
    assert checkpoint_folders.newest_resumable(tmp_path) == tmp_path / "checkpoint-10"


def test_a_checkpoint_of_weights_alone_is_whole_but_not_resumed_from(tmp_path):
    written(tmp_path, 30, optimizer=False)
    assert checkpoint_folders.read_state(tmp_path / "checkpoint-30") is not None
    assert checkpoint_folders.newest_resumable(tmp_path) is None
    written(tmp_path, 20)
    assert checkpoint_folders.newest_resumable(tmp_path) == tmp_path / "checkpoint-20"


def test_a_resumed_run_drops_what_it_writes_again(tmp_path):
    written(tmp_path, 9, 10, 11)
    checkpoint_folders.delete_after(tmp_path, tmp_path / "checkpoint-9")
    assert steps(tmp_path) == [9]
    checkpoint_folders.delete_after(tmp_path, None)
    assert steps(tmp_path) == []


@pytest.mark.parametrize(
    ("limit", "best", "left"), [(2, 11, [10, 11]), (2, 8, [8, 11]), (3, 8, [8, 10, 11]), (1, 8, [8, 11])]
)
def test_the_oldest_go_above_the_limit_but_for_the_best_and_the_newest(limit, best, left, tmp_path):
    written(tmp_path, 8, 9, 10, 11, best=best)
    checkpoint_folders.rotate(tmp_path, limit, f"/elsewhere/checkpoint-{best}")
    assert steps(tmp_path) == left


def test_what_resuming_needs_stays_above_the_limit(tmp_path):
    written(tmp_path, 8, 9)
    written(tmp_path, 10, best=9)  # the only one to go on from, when 9 was the best
    written(tmp_path, 11, 12, 13, best=12, optimizer=False)
    checkpoint_folders.rotate(tmp_path, 1, "/elsewhere/checkpoint-12")
    assert steps(tmp_path) == [9, 10, 12, 13]


def test_of_a_finished_fold_only_the_best_checkpoint_stays(tmp_path):
    written(tmp_path, 10, 20)
    (tmp_path / "checkpoint").mkdir()
    checkpoint_folders.delete_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("overrides", "needs"),
    [
        ([], "12.54 GB for 2 checkpoints"),
        (["trainer.save_total_limit=3"], "16.30 GB for 3 checkpoints"),
    ],
)
def test_a_disk_too_small_for_the_checkpoints_is_refused_before_training(overrides, needs, tmp_path, monkeypatch):
    usage, trainer = namedtuple("usage", "total used free"), composed("train", *overrides).trainer
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10 * 10**9))
    checkpoint_folders.check_space(tmp_path, {"all": 95_000_000, "trained": 90_000_000}, composed("train").trainer)
    with pytest.raises(UserError, match=f"no space left: .* needs {needs}, 10.00 GB are free"):
        checkpoint_folders.check_space(tmp_path, {"all": 316_000_000, "trained": 312_000_000}, trainer)
    # 3.9 GB once, and 3 x 36 MB of what LoRA trains.
    checkpoint_folders.check_space(tmp_path, {"all": 965_000_000, "trained": 3_000_000}, trainer, lora=True)


def test_a_file_that_does_not_fit_is_put_down_to_the_disk_whatever_it_leaves_free(tmp_path):
    error = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(UserError, match="no space left on the disk"), checkpoint_folders.explain_full_disk(tmp_path):
        raise error


def test_an_error_on_a_disk_with_room_is_not_put_down_to_the_disk(tmp_path):
    with pytest.raises(RuntimeError, match="something else"), checkpoint_folders.explain_full_disk(tmp_path):
        raise RuntimeError("something else")
