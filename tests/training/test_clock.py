from types import SimpleNamespace

from ser.training import clock


def logged(monkeypatch, state, times):
    """Run the callback over log entries at the given times of the machine's clock."""
    now = iter(times)
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: next(now)))
    callback = clock.Clock()
    callback.on_train_begin(None, state, None)
    for _ in times[1:]:
        state.log_history.append({"step": len(state.log_history)})
        callback.on_log(None, state, None)
    return [entry["seconds"] for entry in state.log_history]


def test_every_entry_of_the_log_says_how_long_training_has_taken(monkeypatch):
    assert logged(monkeypatch, SimpleNamespace(log_history=[]), [100.0, 101.5, 103.0]) == [1.5, 3.0]


def test_a_resumed_run_counts_on_from_its_checkpoint(monkeypatch):
    state = SimpleNamespace(log_history=[{"step": 1, "seconds": 20.0}])
    assert logged(monkeypatch, state, [7.0, 9.0]) == [20.0, 22.0]
