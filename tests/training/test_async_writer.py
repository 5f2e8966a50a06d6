import logging
import threading
from contextlib import nullcontext

import pytest
import torch
from helpers.tiny_trainers import slow

from ser.training import async_writer
from ser.training.async_writer import AsyncWriter, snapshot


def test_new_work_waits_for_what_is_under_way(monkeypatch):
    writer, gate, done = AsyncWriter(), threading.Event(), []
    waited = writer.wait
    monkeypatch.setattr(writer, "wait", lambda: (gate.set(), waited()))
    writer.start(lambda: (gate.wait(10), done.append("first")))
    gate.clear()
    writer.start(lambda: gate.wait(10))
    assert done == ["first"]
    gate.set()


def left(error, work):
    with AsyncWriter() as writer:
        writer.start(work)
        if error:
            raise error


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_it_is_left_when_the_work_is_done_whatever_leaves_it(error):
    done = []
    with pytest.raises(error) if error else nullcontext():
        left(error, lambda: slow(done))
    assert done == ["slow"]


def fails():
    raise OSError("no disk")


def test_what_stops_the_thread_is_raised_once_where_somebody_waits():
    writer = AsyncWriter()
    writer.start(fails)
    with pytest.raises(OSError, match="no disk"):
        writer.start(lambda: None)
    writer.wait()
    with pytest.raises(OSError, match="no disk"):
        left(None, fails)


def test_an_error_of_the_thread_is_logged_beside_the_exception_that_ended_training(caplog):
    with caplog.at_level(logging.ERROR, "ser"), pytest.raises(KeyboardInterrupt):
        left(KeyboardInterrupt, fails)
    assert "the last checkpoint was not written: no disk" in caplog.text


def struck(writer, work, monkeypatch):
    """A writer that Ctrl-C strikes while somebody waits for it."""

    def strike(futures):
        raise KeyboardInterrupt

    with writer:
        writer.start(work)
        monkeypatch.setattr(async_writer, "wait", strike)
        writer.wait()


def test_ctrl_c_while_waiting_leaves_the_work_to_be_waited_for(monkeypatch):
    done = []
    with pytest.raises(KeyboardInterrupt):
        struck(AsyncWriter(), lambda: slow(done), monkeypatch)
    assert done == ["slow"]


def test_a_snapshot_stays_what_it_was():
    weight = torch.nn.Parameter(torch.ones(2))
    state = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2)}}, "groups": [{"lr": 0.1, "w": weight}]}
    taken = snapshot(state)
    with torch.no_grad():
        weight.zero_()
        state["state"][0]["step"] += 1
        state["state"][0]["exp_avg"].zero_()
        state["groups"][0]["lr"] = 0.2
    assert taken["state"][0]["step"] == 1
    assert taken["state"][0]["exp_avg"].tolist() == taken["groups"][0]["w"].tolist() == [1, 1]
    assert taken["groups"][0]["lr"] == 0.1
    assert not taken["groups"][0]["w"].requires_grad
