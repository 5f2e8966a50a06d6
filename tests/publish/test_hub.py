"""The real client of the hub against a stand-in on loopback."""

import os
import shutil
import subprocess
from pathlib import Path
from threading import Thread

import pytest
from conftest import composed
from helpers.commands import FRESH_PYTHON, ser
from helpers.compositions import SMALL
from helpers.stand_in_hub import TOKEN, Repository, StandInHub
from huggingface_hub import constants

from ser import config
from ser.commands.push import push
from ser.commands.train import train
from ser.errors import UserError
from ser.models import checkpoint
from ser.models import hub as sources
from ser.publish import hub as hub_module
from ser.runs import settings
from ser.runs.folder import RunFolder

HALF = 30_000
"""Bytes: the figure of the confusions is smaller, the weights of the small encoder are larger."""


def serving():
    server = StandInHub()
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


@pytest.fixture
def hub():
    with serving() as server:
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def nearby(hub, tmp_path, monkeypatch):
    """The stand-in as the hub of this very process, where the client has read its settings already."""
    for key in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "nobody's token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


def environment(hub, home, token=TOKEN):
    """That of a user whose hub is the stand-in."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    kept = {key: value for key, value in kept.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    # Xet is the hub's own protocol for large files; without it the client speaks plain LFS.
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    tests = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return {**kept, **ours, "HF_TOKEN": token, "PYTHONPATH": tests}


def error_line(result):
    """The one line in which a command said why it failed."""
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("ser: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert TOKEN not in result.stdout + result.stderr
    return lines[0]


IMPATIENT = """
import runpy, sys, time
time.sleep = lambda seconds: None  # the client waits between its attempts
sys.argv = ["ser", *sys.argv[1:]]
runpy.run_module("ser", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def delivered(finished_run, tmp_path_factory):
    """A hub to which a run was pushed twice: the first upload broke off within the weights."""
    folder, home = tmp_path_factory.mktemp("delivered") / "run", tmp_path_factory.mktemp("home")
    shutil.copytree(finished_run, folder)
    with serving() as hub:
        command = ["push", f"checkpoint='{folder}'", "repo=anna/model"]
        hub.breaks_at = HALF
        broken = subprocess.run(
            [FRESH_PYTHON, "-c", IMPATIENT, *command], capture_output=True, text=True, env=environment(hub, home)
        )
        stored, files = list(hub.stored), dict(hub.repositories["anna/model"].files)
        hub.breaks_at = None
        again = ser(*command, env=environment(hub, home), python=FRESH_PYTHON)
        yield {"hub": hub, "folder": folder, "home": home, "runs": (broken, again), "first": (stored, files)}
        hub.shutdown()


def test_an_upload_that_breaks_off_is_reported_in_a_line_and_publishes_no_half(delivered):
    broken, _ = delivered["runs"]
    line = error_line(broken)
    assert line.startswith("ser: repo=anna/model: the hub cannot be reached (")
    assert line.endswith("give the command again: what has arrived is not uploaded twice")
    stored, files = delivered["first"]
    assert len(stored) == 1  # the figure
    assert files == {}


def test_the_next_upload_sends_only_what_had_not_arrived(delivered):
    _, again = delivered["runs"]
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() == f"{delivered['hub'].url}/anna/model"
    assert len(delivered["hub"].stored) == 2
    assert len(set(delivered["hub"].stored)) == 2


def test_the_hub_then_holds_byte_for_byte_what_a_dry_run_writes(delivered, tmp_path):
    push(config.Push(str(delivered["folder"]), "anna/model", True, dry_run=True, output_dir=str(tmp_path / "dry")))
    repository = delivered["hub"].repositories["anna/model"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "dry").iterdir()} == repository.files
    assert repository.private
    assert len(repository.commits) == 1


def test_what_the_hub_holds_is_a_checkpoint(delivered, tmp_path):
    for name, content in delivered["hub"].repositories["anna/model"].files.items():
        (tmp_path / name).write_bytes(content)
    opened = checkpoint.open_checkpoint(tmp_path)
    assert opened.labels[0] == "angry"
    assert opened.stamp["protocol"]["name"] == "paper"


def test_the_token_is_in_no_file_and_no_output(delivered):
    sent = delivered["hub"].repositories["anna/model"].files
    local = {path: path.read_bytes() for path in delivered["folder"].rglob("*") if path.is_file()}
    assert not [name for name, content in {**sent, **local}.items() if TOKEN.encode() in content]
    assert not [run for run in delivered["runs"] if TOKEN in run.stdout + run.stderr]


def test_a_wrong_token_is_reported_in_one_line(hub, finished_run, tmp_path):
    env = environment(hub, tmp_path, token="hf_wrong")
    result = ser("push", f"checkpoint='{finished_run}'", "repo=anna/model", env=env, python=FRESH_PYTHON)
    line = "ser: repo=anna/model: the hub does not know this token (401); log in with `hf auth login` or set HF_TOKEN"
    assert error_line(result) == line
    assert "hf_wrong" not in result.stdout + result.stderr
    assert not hub.repositories


@pytest.mark.parametrize(
    ("repo", "token", "message"),
    [
        ("nobody/model", TOKEN, "anna may not write for nobody; choices: anna, lab"),
        ("anna/model", "", "nobody is logged in to the hub; log in with `hf auth login` or set HF_TOKEN"),
        ("anna/model", "hf_ü", "the token holds characters that no token has; log in with `hf auth login`"),
        ("anna/open", TOKEN, "it exists and is public; private=false pushes to it"),
        ("anna/full", TOKEN, "the hub does not let this token write there (403: Storage limit reached by (token))"),
        ("anna/busy", TOKEN, "the hub refuses (412: A commit has happened since.); give the command again"),
        ("anna/no name", TOKEN, "no repository can have this name; give USER/NAME"),
        ("model", TOKEN, "give USER/NAME or ORGANISATION/NAME"),
    ],
)
def test_each_way_in_which_the_hub_refuses_has_its_line(repo, token, message, nearby, finished_run, monkeypatch):
    nearby.repositories["anna/open"] = Repository(private=False)
    nearby.refusals["anna/full/preupload/main"] = (403, f"Storage limit reached by {TOKEN}")
    nearby.refusals["anna/busy/commit/main"] = (412, "A commit has happened since.")
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError) as error:
        push(config.Push(str(finished_run), repo, True, dry_run=False))
    assert str(error.value).startswith(f"repo={repo}: {message}")
    assert "\n" not in str(error.value)
    assert TOKEN not in str(error.value)
    assert not [repository for repository in nearby.repositories.values() if repository.files]


def test_a_token_that_may_only_read_is_refused_before_anything_is_made(nearby, finished_run):
    nearby.user["auth"]["accessToken"]["role"] = "read"
    with pytest.raises(UserError, match="the token of anna may only read"):
        push(config.Push(str(finished_run), "anna/model", True, dry_run=False))
    assert not nearby.repositories


def test_everybody_reads_what_is_not_private(nearby, finished_run, capsys):
    push(config.Push(str(finished_run), "Lab/model", False, dry_run=False))
    assert not nearby.repositories["Lab/model"].private
    assert f"{nearby.url}/Lab/model" in capsys.readouterr().out


def test_a_dry_run_asks_nobody(nearby, finished_run, tmp_path):
    push(config.Push(str(finished_run), "anna/model", True, dry_run=True, output_dir=str(tmp_path / "dry")))
    assert (tmp_path / "dry" / "README.md").is_file()
    assert nearby.asked == []


def quick(data_dir, folder, *overrides):
    """The config of a training of one step that is pushed at its end."""
    return composed(
        "train", *SMALL, "trainer=scratch", "tracking=none", "trainer.max_steps=1", f"data_dir='{data_dir}'",
        f"output_dir='{folder}'", "hub.push=true", "hub.repo=anna/model", *overrides,
    )  # fmt: skip


def test_train_tries_the_login_before_it_touches_anything(nearby, data_dir, finished_run, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    folder = shutil.copytree(finished_run, tmp_path / "run")
    with pytest.raises(UserError, match=r"does not know this token \(401\)"):
        train(quick(data_dir, folder, "overwrite=true"))
    assert RunFolder(folder).is_finished()


def test_the_run_stays_whatever_the_hub_responds_in_the_end(nearby, data_dir, tmp_path, capsys):
    folder = tmp_path / "run"
    nearby.refusals["/preupload/main"] = (403, "Storage limit reached")
    with pytest.raises(UserError) as error:
        train(quick(data_dir, folder))
    assert str(error.value) == (
        f"{folder} is finished but not pushed: repo=anna/model: the hub does not let this token write there "
        f"(403: Storage limit reached); `ser push checkpoint={folder} repo=anna/model` pushes it"
    )
    assert RunFolder(folder).is_finished()
    nearby.refusals.clear()
    train(quick(data_dir, folder, "resume=true"))
    assert "model.safetensors" in nearby.repositories["anna/model"].files
    assert not [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert TOKEN not in "".join(capsys.readouterr())


def test_a_run_may_be_resumed_with_another_wish_for_the_hub(finished_run, data_dir):
    settings.check_same_settings(finished_run, quick(data_dir, finished_run, "resume=true"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hub.push=true"], "hub.push=true: give hub.repo=USER/NAME"),
        (["hub.push=true", "hub.repo=anna"], "repo=anna: give USER/NAME or ORGANISATION/NAME"),
        (["hub.push=true", "hub.repo=anna/a b"], "repo=anna/a b: no repository can have this name"),
        (
            ["hub.push=true", "hub.repo=anna/m", "protocol=emobox"],
            "needs a single run; this command plans 6",
        ),
        (
            ["+trainer.extra_training_args.hub_token=hf_secret"],
            "trainer.extra_training_args.hub_token: give hub.push=true and hub.repo=USER/NAME",
        ),
    ],
)
def test_a_push_that_cannot_be_is_refused_before_training(overrides, message, data_dir, tmp_path):
    with pytest.raises(UserError, match=message.replace(".", r"\.")) as error:
        train(composed("train", *overrides, f"data_dir='{data_dir}'", f"output_dir='{tmp_path / 'run'}'"))
    assert "hf_secret" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("silent_at", "ask"),
    [
        ("/api/whoami-v2", lambda repo: hub_module.check_login(repo)),
        ("/api/repos/create", lambda repo: hub_module.push_files({}, repo, private=True)),
    ],
)
def test_a_hub_that_never_answers_is_given_up_in_a_line(silent_at, ask, nearby, monkeypatch):
    monkeypatch.setattr(sources, "SILENCE", 0.3)
    nearby.silent_at = silent_at
    with pytest.raises(
        UserError, match=r"^repo=anna/speech: the hub cannot be reached \(.*timed out.*\); give the command"
    ):
        ask("anna/speech")


@pytest.mark.parametrize("answer", [[], {}, {"user": "anna"}, "welcome", None])
def test_an_invalid_response_of_the_hub_is_reported_in_one_line(answer, nearby):
    nearby.user = answer
    with pytest.raises(UserError, match=r"^repo=anna/speech: the response of the hub cannot be read"):
        hub_module.check_login("anna/speech")
