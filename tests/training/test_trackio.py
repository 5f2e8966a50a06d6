import sys

import pytest
from conftest import composed
from helpers.tiny_trainers import ready
from transformers import PrinterCallback

from ser import extras
from ser.errors import UserError
from ser.training.arguments import build_arguments
from ser.training.guard import guard_trackers

STAND_IN = """
__version__ = "0.21.1"
CALLS, config = [], {}


class context_vars:
    class current_space_id:
        get = staticmethod(lambda: None)


class Config(dict):
    def update(self, values, allow_val_change):
        super().update(values)


config = Config()


def init(**given):
    print("* Trackio project initialized")
    CALLS.append(("init", given))


def log(metrics):
    CALLS.append(("log", metrics))
    if len(CALLS) == FAILS_AT:
        raise OSError("the disk is full")


def finish():
    CALLS.append(("finish", {}))


FAILS_AT = None
"""


@pytest.fixture
def trackio(tmp_path, monkeypatch):
    """A module of that name with the functions that transformers calls."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "trackio.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    import trackio

    yield trackio
    sys.modules.pop("trackio", None)


def test_what_is_not_installed_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'^tracking=trackio needs trackio: pip install "ser-finetune\[trackio\]"$'):
        build_arguments(composed("train", "tracking=trackio"), tmp_path)


def test_a_run_is_logged_on_this_machine_under_its_name(trackio, prepared, tmp_path, capsys):
    trainer = ready(prepared, tmp_path, "tracking=trackio", "tracking.project=mine", "output_dir=runs/a/fold3")
    trainer.remove_callback(PrinterCallback)
    guard_trackers(trainer)
    trainer.train()
    kinds = [kind for kind, _ in trackio.CALLS]
    assert kinds[0] == "init"
    assert kinds[-1] == "finish"
    given = trackio.CALLS[0][1]
    assert (given["project"], given["name"], given["space_id"]) == ("mine", "a/fold3", None)
    assert trainer.args.trackio_static_space_id is False  # nothing is pushed to a Space
    logged = [metrics for kind, metrics in trackio.CALLS if kind == "log"]
    assert [metrics["train/loss"] for metrics in logged if "train/loss" in metrics]
    assert [metrics["eval/unweighted_average_recall"] for metrics in logged if "eval/loss" in metrics]
    assert capsys.readouterr().out == ""


def test_a_failure_of_trackio_does_not_end_training(trackio, prepared, tmp_path, caplog):
    trackio.FAILS_AT = 2
    trainer = ready(prepared, tmp_path, "tracking=trackio")
    guard_trackers(trainer)
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(trackio.CALLS) == 2
    assert caplog.messages == ["tracking ends here and training goes on: OSError: the disk is full"]
