import logging

import pytest
from helpers.tiny_trainers import ready
from transformers.integrations import TensorBoardCallback

from ser.training.guard import guard_trackers


class Failing(TensorBoardCallback):
    """A tracker that fails at its second log line."""

    calls = 0

    def on_log(self, *args, **kwargs):
        type(self).calls += 1
        if self.calls == 2:
            raise ConnectionError("the server\nis gone")


Failing.__module__ = TensorBoardCallback.__module__


@pytest.mark.parametrize("guarded", [True, False])
def test_a_tracker_that_fails_in_the_middle_does_not_end_training(guarded, prepared, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(Failing, "calls", 0)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    trainer = ready(prepared, tmp_path)
    trainer.add_callback(Failing())
    if not guarded:
        with pytest.raises(ConnectionError):
            trainer.train()
        return
    guard_trackers(trainer)
    with caplog.at_level(logging.WARNING, "ser"):
        trainer.train()
    assert trainer.state.global_step == 2
    assert caplog.messages == ["tracking ends here and training goes on: ConnectionError: the server is gone"]
    assert Failing.calls == 2
