import logging
from types import SimpleNamespace

import torch
from helpers.tiny_trainers import ready

from ser.training import throughput
from ser.training.throughput import PhaseTimer, RunCost, peak_memory, reset_peak_memory

ROWS = [{"step": 5, "epoch": 1.0, "seconds": 10.0}, {"step": 10, "epoch": 2.0, "seconds": 20.0}]


def started(monkeypatch, state, times):
    """The callback after its start, on a machine whose clock shows the given times."""
    now = iter(times)
    monkeypatch.setattr(throughput, "time", SimpleNamespace(monotonic=lambda: next(now)))
    callback = PhaseTimer()
    callback.on_train_begin(None, state, None)
    return callback


def logged(monkeypatch, state, times):
    callback = started(monkeypatch, state, times)
    for _ in times[1:]:
        state.log_history.append({"step": len(state.log_history)})
        callback.on_log(None, state, None)
    return [entry["seconds"] for entry in state.log_history]


def test_every_entry_of_the_log_has_the_seconds_of_training(monkeypatch):
    assert logged(monkeypatch, SimpleNamespace(log_history=[]), [100.0, 101.5, 103.0]) == [1.5, 3.0]


def test_a_resumed_run_counts_on_from_its_checkpoint(monkeypatch):
    state = SimpleNamespace(log_history=[{"step": 1, "seconds": 20.0}])
    assert logged(monkeypatch, state, [7.0, 9.0]) == [20.0, 22.0]


def test_the_time_between_two_calls_belongs_to_what_has_ended(monkeypatch):
    callback = started(monkeypatch, SimpleNamespace(log_history=[]), [0.0, 1.0, 5.0, 7.0, 8.0, 8.0, 10.0])
    for event in ("step_begin", "step_end", "evaluate", "save", "step_begin", "step_end"):
        getattr(callback, f"on_{event}")(None, None, None)
    assert callback.phases == {"data": 1.0, "training": 6.0, "evaluation": 2.0, "checkpoints": 1.0}
    assert callback.describe() == "training 60 %, evaluation 20 %, data 10 %, checkpoints 10 %"


def test_the_phases_of_a_real_run_add_up_to_its_training_time(prepared, tmp_path):
    callback, trainer = PhaseTimer(), ready(prepared, tmp_path)
    trainer.add_callback(callback)
    trainer.train()
    known = max(entry["seconds"] for entry in trainer.state.log_history if "eval_loss" in entry)
    assert known <= sum(callback.phases.values())
    assert all(seconds > 0 for seconds in callback.phases.values())


def test_the_speed_of_a_run_counts_evaluations_and_saving(tmp_path, caplog):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.safetensors").write_bytes(b"12345")
    timer = PhaseTimer()
    timer.phases.update(training=15.0, evaluation=5.0)
    with caplog.at_level(logging.INFO, "ser"):
        spent = RunCost(100, 370.0, timer, {"all": 3, "trained": 2}, None).summary(ROWS, 5, tmp_path)
    assert spent["training"] == {
        "seconds_to_step": 10.0, "seconds": 20.0, "clips_per_second": 10.0, "real_time_factor": 37.0,
    }  # fmt: skip
    assert spent["checkpoint_bytes"] == 5
    assert spent["parameters"] == {"all": 3, "trained": 2}
    assert "trained at 10.0 clips/s, 37x real time: training 75 %, evaluation 25 %" in caplog.text


def test_the_share_of_the_peak_is_logged_for_a_gpu_with_a_known_peak(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    with caplog.at_level(logging.INFO, "ser"):
        # 10 clips/s of 24.725 TFLOP each: a quarter of 989 TFLOP/s.
        spent = RunCost(100, 370.0, PhaseTimer(), {"all": 3, "trained": 2}, 24.725e12).summary(ROWS, 5, tmp_path)
    assert spent["training"]["share_of_peak"] == 0.25
    assert "37x real time, 25.0 % of the peak of the GPU:" in caplog.text


def test_peak_memory_is_in_bytes():
    assert 50e6 < peak_memory() < 1e12


def test_the_peak_of_an_earlier_run_of_the_process_is_not_counted(monkeypatch):
    held = [9]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", held.clear)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: max(held, default=0))
    reset_peak_memory()
    assert peak_memory() == 0
