import logging

from ser.training.clock import Clock
from ser.training.effort import Effort, peak_memory

ROWS = [{"step": 5, "epoch": 1.0, "seconds": 10.0}, {"step": 10, "epoch": 2.0, "seconds": 20.0}]


def test_the_speed_of_a_run_counts_evaluations_and_saving(tmp_path, caplog):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.safetensors").write_bytes(b"12345")
    clock = Clock()
    clock.phases.update(training=15.0, evaluation=5.0)
    with caplog.at_level(logging.INFO, "ser"):
        spent = Effort(100, 370.0, clock, {"all": 3, "trained": 2}).spent(ROWS, 5, tmp_path)
    assert spent["training"] == {
        "seconds_to_step": 10.0, "seconds": 20.0, "clips_per_second": 10.0, "real_time_factor": 37.0,
    }  # fmt: skip
    assert spent["checkpoint_bytes"] == 5
    assert spent["parameters"] == {"all": 3, "trained": 2}
    assert "trained at 10.0 clips/s, 37x real time: training 75 %, evaluation 25 %" in caplog.text


def test_peak_memory_is_in_bytes():
    assert 50e6 < peak_memory() < 1e12
