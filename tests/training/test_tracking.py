import threading

import pytest
import wandb
from conftest import composed

from ser.errors import UserError
from ser.training import tracking
from ser.training.tracking import logged_in, track


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


def test_without_a_key_nobody_is_logged_in():
    assert not logged_in()


def test_a_key_in_the_environment_is_a_login(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert logged_in()


def test_a_key_where_the_client_leaves_it_is_a_login(nobody):
    nobody.write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    nobody.chmod(0o600)
    assert logged_in()


def test_a_key_of_another_server_is_none(nobody, monkeypatch):
    nobody.write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    nobody.chmod(0o600)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not logged_in()


def test_a_mode_that_wandb_does_not_have_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "bogus")
    with (
        pytest.raises(UserError, match=r"^WANDB_MODE=bogus: choices: online, offline, disabled$"),
        track(composed("train").tracking, tmp_path, {"output_dir": "run"}),
    ):
        pass


def test_a_setting_that_wandb_refuses_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")

    def refuse(**settings):
        raise ValueError("1 validation error\n  for Settings")

    monkeypatch.setattr(wandb, "init", refuse)
    with (
        pytest.raises(UserError, match=r"^tracking=wandb: 1 validation error for Settings; choices: tracking=none"),
        track(composed("train").tracking, tmp_path, {"output_dir": "run"}),
    ):
        pass


class Run:
    def __init__(self, finish):
        self.finish = finish


def test_a_tracker_that_hangs_at_the_end_is_left(monkeypatch, caplog):
    monkeypatch.setattr(tracking, "PATIENCE", 0.01)
    forever = threading.Event()
    tracking.finish(Run(lambda exit_code: forever.wait()), 0)
    forever.set()
    assert "wandb has not sent the rest of the run" in caplog.text


def test_a_tracker_that_fails_at_the_end_is_a_warning(caplog):
    def fail(exit_code):
        raise BrokenPipeError("gone")

    tracking.finish(Run(fail), 0)
    assert "wandb did not take the end of the run (BrokenPipeError): gone" in caplog.text
