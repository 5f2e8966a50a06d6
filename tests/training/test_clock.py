from types import SimpleNamespace

from helpers.tiny_trainers import ready

from ser.training import clock


def started(monkeypatch, state, times):
    """The callback after its start, on a machine whose clock shows the given times."""
    now = iter(times)
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: next(now)))
    callback = clock.Clock()
    callback.on_train_begin(None, state, None)
    return callback


def logged(monkeypatch, state, times):
    callback = started(monkeypatch, state, times)
    for _ in times[1:]:
        state.log_history.append({"step": len(state.log_history)})
        callback.on_log(None, state, None)
    return [entry["seconds"] for entry in state.log_history]


def test_every_entry_of_the_log_says_how_long_training_has_taken(monkeypatch):
    assert logged(monkeypatch, SimpleNamespace(log_history=[]), [100.0, 101.5, 103.0]) == [1.5, 3.0]


def test_a_resumed_run_counts_on_from_its_checkpoint(monkeypatch):
    state = SimpleNamespace(log_history=[{"step": 1, "seconds": 20.0}])
    assert logged(monkeypatch, state, [7.0, 9.0]) == [20.0, 22.0]


def test_the_time_between_two_calls_belongs_to_what_has_ended(monkeypatch):
    callback = started(monkeypatch, SimpleNamespace(log_history=[]), [0.0, 1.0, 5.0, 7.0, 8.0, 8.0, 10.0])
    for event in ("step_begin", "step_end", "evaluate", "save", "step_begin", "step_end"):
        getattr(callback, f"on_{event}")(None, None, None)
    assert callback.phases == {"data": 1.0, "training": 6.0, "evaluation": 2.0, "checkpoints": 1.0}
    assert callback.in_words() == "training 60 %, evaluation 20 %, data 10 %, checkpoints 10 %"


def test_the_phases_of_a_real_run_add_up_to_its_training_time(prepared, tmp_path):
    callback, trainer = clock.Clock(), ready(prepared, tmp_path)
    trainer.add_callback(callback)
    trainer.train()
    known = max(entry["seconds"] for entry in trainer.state.log_history if "eval_loss" in entry)
    assert known <= sum(callback.phases.values())
    assert all(seconds > 0 for seconds in callback.phases.values())
