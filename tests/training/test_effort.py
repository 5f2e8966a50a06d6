import logging

import torch

from ser.training.clock import Clock
from ser.training.effort import Effort, peak_memory, reset_peak_memory

ROWS = [{"step": 5, "epoch": 1.0, "seconds": 10.0}, {"step": 10, "epoch": 2.0, "seconds": 20.0}]


def test_the_speed_of_a_run_counts_evaluations_and_saving(tmp_path, caplog):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.safetensors").write_bytes(b"12345")
    clock = Clock()
    clock.phases.update(training=15.0, evaluation=5.0)
    with caplog.at_level(logging.INFO, "ser"):
        spent = Effort(100, 370.0, clock, {"all": 3, "trained": 2}, None).spent(ROWS, 5, tmp_path)
    assert spent["training"] == {
        "seconds_to_step": 10.0, "seconds": 20.0, "clips_per_second": 10.0, "real_time_factor": 37.0,
    }  # fmt: skip
    assert spent["checkpoint_bytes"] == 5
    assert spent["parameters"] == {"all": 3, "trained": 2}
    assert "trained at 10.0 clips/s, 37x real time: training 75 %, evaluation 25 %" in caplog.text


def test_the_share_of_the_peak_is_said_of_a_gpu_whose_peak_is_known(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    with caplog.at_level(logging.INFO, "ser"):
        # 10 clips/s of 24.725 TFLOP each: a quarter of 989 TFLOP/s.
        spent = Effort(100, 370.0, Clock(), {"all": 3, "trained": 2}, 24.725e12).spent(ROWS, 5, tmp_path)
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
