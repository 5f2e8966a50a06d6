import json
import os
import pickle
import re
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote, urlsplit

import pytest
import torch
from conftest import composed
from helpers.commands import FRESH_PYTHON, ser
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file
from transformers import HubertConfig, HubertForCTC, Wav2Vec2FeatureExtractor

from ser.errors import UserError
from ser.models import checkpoint
from ser.models import hub as sources

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_thatNobodyMaySee"
TINY = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, conv_dim=(16,) * 7,
    num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, feat_extract_norm="layer", do_stable_layer_norm=True,
)  # fmt: skip


class Hub(ThreadingHTTPServer):
    """What the hub's client needs of the hub, on loopback."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.folders, self.refusals, self.breaks, self.asked = {}, {}, {}, []
        self.misdeeds = {}
        """By a part of a path: it "hangs", "breaks off", or these bytes are the answer."""
        self.over = Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def ranges(self, name):
        return [asked for method, path, asked in self.asked if method == "GET" and path.endswith(name)]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        found = re.fullmatch(r"/(?:api/models/)?([^/]+/[^/]+)/(revision|tree|resolve)/[^/]+/?(.*)", path)
        repository, kind, name = found.groups() if found else ("", "", "")
        folder = self.server.folders.get(repository)
        if misdeed := next((misdeed for part, misdeed in self.server.misdeeds.items() if part in path), None):
            self.misbehave(misdeed)
        elif repository in self.server.refusals:
            self.refuse(*self.server.refusals[repository])
        elif folder is None:
            self.refuse(404, "RepoNotFound")
        elif kind == "revision":
            self.send(json.dumps({"id": repository, "sha": COMMIT}).encode())
        elif kind == "tree":
            files = [{"type": "file", "path": file.name, "size": file.stat().st_size} for file in folder.iterdir()]
            self.send(json.dumps([{**file, "oid": "0" * 40} for file in files]).encode())
        elif (folder / name).is_file():
            self.file(name, (folder / name).read_bytes())
        else:
            self.refuse(404, "EntryNotFound")

    do_HEAD = do_GET

    def misbehave(self, misdeed):
        if isinstance(misdeed, bytes):
            return self.send(misdeed)
        if misdeed == "hangs":
            self.server.over.wait()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def refuse(self, status, code):
        self.send(b"", status, {"X-Error-Code": code} if code else {})

    def file(self, name, content):
        headers = {"ETag": f'"{name}-{len(content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        start = int(re.match(r"bytes=(\d+)-|", self.headers.get("Range", "")).group(1) or 0)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        breaks_at = self.server.breaks.pop(name, None) if self.command == "GET" else None
        self.send(content[start:], 206 if start else 200, headers, breaks_at)

    def send(self, content, status=200, headers=(), breaks_at=None):
        self.send_response(status)
        for key, value in {**dict(headers), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:breaks_at])
        if breaks_at is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = Hub()
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def dead():
    """The address of a hub that is not there any more."""
    with Hub() as server:
        return server.url


def recogniser(folder, vocab_size=32):
    """A speech recogniser in the hub's layout, float16, as large ones are often stored."""
    torch.manual_seed(0)
    HubertForCTC(HubertConfig(**TINY, vocab_size=vocab_size)).half().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return folder


@pytest.fixture
def ctc(tmp_path):
    return recogniser(tmp_path / "ctc")


def pickled(folder):
    """The same recogniser as it was published before there were safetensors."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def environment(url, home):
    """That of a user whose hub is `url`; the client reads it once, when it is imported."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    kept = {key: value for key, value in kept.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    tests = str(Path(__file__).parents[1])
    return {**kept, "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "PYTHONPATH": tests}


BUILD = """
import sys
from conftest import composed
from safetensors.torch import save_file
from ser.errors import UserError
from ser.models import checkpoint
for repository in sys.argv[2:]:
    model = composed("train", "model=hubert_large", f"model.pretrained='{repository}'").model
    try:
        classifier, _ = checkpoint.build(model, ["happy", "sad"])
    except UserError as error:
        print(error)
    else:
        print("loaded")
        save_file(classifier.state_dict(), sys.argv[1])
"""


def build(environment, tensors, *repositories):
    """Load each repository as `ser train` does; what is said of each."""
    command = [FRESH_PYTHON, "-c", BUILD, str(tensors), *repositories]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = result.stdout.splitlines()
    assert len(lines) == len(repositories), result.stdout + result.stderr
    assert TOKEN not in result.stdout + result.stderr
    return dict(zip(repositories, lines, strict=True))


def assert_encoder_is(stored, loaded):
    """Every encoder tensor that was loaded is bit for bit the stored one, as float32."""
    legacy = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    for old, new in legacy.items():
        stored = {name.replace(old, new): tensor for name, tensor in stored.items()}
    encoder = {name: tensor.float() for name, tensor in stored.items() if name.startswith("hubert.")}
    assert encoder.keys() == {name for name in loaded if name.startswith("hubert.")}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in encoder.items())


def test_a_checkpoint_is_fetched_exactly_and_then_answered_from_the_cache_without_the_hub(hub, dead, ctc, tmp_path):
    hub.folders["org/ctc"] = ctc
    (ctc / "tf_model.h5").write_bytes(b"of another framework")
    stored = load_file(ctc / "model.safetensors")
    assert build(environment(hub.url, tmp_path / "home"), tmp_path / "loaded", "org/ctc") == {"org/ctc": "loaded"}
    assert_encoder_is(stored, load_file(tmp_path / "loaded"))
    assert not hub.ranges("tf_model.h5")
    assert len(hub.ranges("model.safetensors")) == 1
    assert build(environment(dead, tmp_path / "home"), tmp_path / "again", "org/ctc") == {"org/ctc": "loaded"}
    assert_encoder_is(stored, load_file(tmp_path / "again"))


def train(data_dir, folder, environment, repository):
    return ser(
        "train", "model=hubert_large", f"model.pretrained={repository}",
        "model.encoder_config.apply_spec_augment=false",
        "trainer=scratch", "tracking=none", "trainer.max_steps=1", "trainer.eval_strategy=steps",
        "trainer.eval_steps=1", "trainer.save_steps=1", f"data_dir='{data_dir}'", f"output_dir='{folder}'",
        env=environment, python=FRESH_PYTHON,
    )  # fmt: skip


def test_ser_train_fetches_a_checkpoint_and_resumes_its_broken_download(hub, data_dir, tmp_path):
    # The client keeps what came in whole blocks of 10 MiB: the file must be larger than that.
    hub.folders["org/large"] = recogniser(tmp_path / "large", vocab_size=400_000)
    hub.breaks["model.safetensors"] = 15 * 2**20
    result = train(data_dir, tmp_path / "run", environment(hub.url, tmp_path / "home"), "org/large")
    assert result.returncode == 0, result.stderr
    assert hub.ranges("model.safetensors") == [None, f"bytes={10 * 2**20}-"]
    frozen = "hubert.feature_extractor.conv_layers.0.conv.weight"
    stored, trained = tmp_path / "large" / "model.safetensors", tmp_path / "run" / "checkpoint" / "model.safetensors"
    assert torch.equal(load_file(trained)[frozen], load_file(stored)[frozen].float())


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, "GatedRepo"), "the hub gives no access (401: gated, private or misspelt); log in with `hf auth login`"),
        ((404, "RepoNotFound"), "the hub has no such repository (404); give a local folder with model.pretrained=PATH"),
        (None, "the hub cannot be reached ([Errno 111] Connection refused); give a local folder with model.pretrained"),
    ],
    ids=["401", "404", "dead"],
)
def test_ser_train_states_in_one_line_why_a_checkpoint_cannot_be_had(refusal, message, hub, dead, data_dir, tmp_path):
    hub.refusals["org/name"] = refusal
    result = train(data_dir, tmp_path / "run", environment(hub.url if refusal else dead, tmp_path / "home"), "org/name")
    assert result.returncode == 1
    mistakes = [line for line in result.stderr.splitlines() if "org/name: " in line and "or else from" not in line]
    assert len(mistakes) == 1
    assert mistakes[0].startswith(f"ser: org/name: not in the local cache, and {message}")
    assert "Traceback" not in result.stderr
    assert TOKEN not in result.stdout + result.stderr


def test_each_way_in_which_the_hub_refuses_has_its_line(hub, ctc, tmp_path):
    hub.refusals |= {"org/private": (401, ""), "org/forbidden": (403, ""), "org/gated": (403, "GatedRepo")}
    hub.refusals |= {"org/broken": (503, "")}
    for name, kept in {"weightless": "*.json", "nothing": "*.txt"}.items():
        hub.folders[f"org/{name}"] = tmp_path / name
        (tmp_path / name).mkdir()
        for file in ctc.glob(kept):
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    said = build(
        environment(hub.url, tmp_path / "home"), tmp_path / "loaded",
        "org/private", "org/forbidden", "org/gated", "org/broken", "org/weightless", "org/nothing", "org/no name",
    )  # fmt: skip
    for name, status in [("private", 401), ("forbidden", 403), ("gated", 403)]:
        assert f"gives no access ({status}" in said[f"org/{name}"]
        assert "`hf auth login` or set HF_TOKEN" in said[f"org/{name}"]
    assert "the hub cannot be reached (it answers 503)" in said["org/broken"]
    assert "the hub has no model.safetensors in this repository" in said["org/weightless"]
    assert "the hub has no config.json in this repository" in said["org/nothing"]
    assert "no repository of this name" in said["org/no name"]
    assert all("not in the local cache, and the hub" in line for line in said.values())


def test_a_repository_without_safetensors_is_read_as_tensors_or_not_at_all(hub, ctc, tmp_path):
    stored = load_file(ctc / "model.safetensors")
    hub.folders["org/old"] = pickled(ctc)
    hub.folders["org/bomb"] = recogniser(tmp_path / "bomb")
    (tmp_path / "bomb" / "model.safetensors").unlink()
    (tmp_path / "bomb" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    said = build(environment(hub.url, tmp_path / "home"), tmp_path / "loaded", "org/old", "org/bomb")
    assert said["org/old"] == "loaded"
    assert_encoder_is(stored, load_file(tmp_path / "loaded"))
    assert "holds more than tensors; it was not run" in said["org/bomb"]
    assert not (tmp_path / "exploded").exists()
    # Nobody is asked to convert the repository: that begins with its commits and discussions.
    asked = [path for _, path, _ in hub.asked if "/org/" in path]
    assert {path.split("/")[-2] for path in asked} == {"revision", "tree", COMMIT}


def built(folder):
    return checkpoint.build(composed("train", "model=hubert_large", f"model.pretrained='{folder}'").model, ["a", "b"])


def test_a_folder_without_safetensors_is_read_too(ctc):
    stored = load_file(ctc / "model.safetensors")
    assert_encoder_is(stored, built(pickled(ctc))[0].state_dict())


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_bomb_is_refused_and_does_not_go_off(zipped, ctc, tmp_path):
    (ctc / "model.safetensors").unlink()
    bomb = {"hubert.masked_spec_embed": Bomb(tmp_path / "exploded")}
    torch.save(bomb, ctc / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"pytorch_model\.bin is broken or holds more than tensors; it was not run"):
        built(ctc)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("kept", [10, 0.5, 0.99])
def test_a_pickled_file_that_broke_off_is_named(kept, ctc):
    file = pickled(ctc) / "pytorch_model.bin"
    content = file.read_bytes()
    file.write_bytes(content[: kept if kept > 1 else int(kept * len(content))])
    with pytest.raises(UserError, match=r"pytorch_model\.bin: broken, its end is missing"):
        built(ctc)


def whole(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", lambda _: b"{", "its config.json is not JSON"),
        ("config.json", lambda _: b"\xff\xfe", "its config.json is not JSON"),
        ("config.json", lambda _: b"[]", "its config.json holds no settings"),
        ("config.json", lambda _: b'{"model_type": "nonsense"}', "does not recognize this architecture"),
        ("config.json", lambda _: b'{"model_type": "hubert", "hidden_size": "x"}', "'hidden_size' expected int"),
        ("config.json", lambda _: b'{"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}', "custom code"),
        ("preprocessor_config.json", lambda _: b"{", "not a valid JSON file"),
        ("model.safetensors", lambda folder: whole(folder)[:5000], "broken safetensors"),
        ("model.safetensors", lambda folder: whole(folder)[:-5000], "broken safetensors"),
        ("model.safetensors", lambda _: b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
        ("model.safetensors", lambda _: b"", "broken safetensors"),
    ],
)
def test_a_broken_file_of_a_folder_is_one_line_that_names_the_folder_and_not_the_hub(name, content, message, ctc):
    (ctc / name).write_bytes(content(ctc))
    with pytest.raises(UserError, match=message) as error:
        built(ctc)
    assert str(ctc) in str(error.value)
    assert "hub" not in str(error.value).replace("github", "")
    assert "\n" not in str(error.value)


def test_a_request_that_the_token_breaks_is_reported_without_the_token():
    error = LocalEntryNotFoundError("nothing in the cache")
    error.__cause__ = ValueError(f"Illegal header value b'Bearer {TOKEN}'")
    assert sources.explain_hub_error(error, "checkpoint")[0] == "cannot be reached (LocalEntryNotFoundError)"


@pytest.mark.parametrize(
    "given", ["runs/typo", "./runs/typo", "runs/typo/", "~/typo", "typo", "/nowhere/typo", "~nobody/x/y"]
)
def test_a_misspelt_folder_is_never_asked_of_the_hub(given, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sources, "snapshot_download", lambda *_, **__: pytest.fail("the hub is asked"))
    with pytest.raises(UserError, match=f"^checkpoint={given}: there is no such folder$"):
        sources.find_or_download_checkpoint(given)
    with pytest.raises(UserError, match=f"^model.pretrained={given}: there is no such folder$"):
        sources.load_pretrained(None, given)


def test_a_misspelt_folder_is_reported_with_a_suggestion(tmp_path):
    (tmp_path / "hubert-seed0").mkdir()
    with pytest.raises(UserError, match=rf"there is no such folder; is it {tmp_path}/hubert-seed0\?$"):
        sources.find_checkpoint(f"{tmp_path}/huber-seed0")


def test_the_key_that_was_given_is_the_one_that_is_advised():
    assert (
        sources.explain_hub_error(ConnectionError("down"), "checkpoint")[1]
        == "give a local folder with checkpoint=PATH"
    )
    assert sources.explain_hub_error(ConnectionError("down"), "model.pretrained")[1].endswith(
        "with model.pretrained=PATH"
    )


def test_a_hub_name_is_one_where_no_folder_is_called_like_its_owner(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources.is_hub_name("facebook/hubert-base-ls960")
    (tmp_path / "facebook").mkdir()
    assert not sources.is_hub_name("facebook/hubert-base-ls960")


def test_an_unfinished_run_names_the_checkpoints_that_it_has(tmp_path):
    for step in (100, 340):
        (tmp_path / f"checkpoint-{step}").mkdir()
    with pytest.raises(UserError, match="the run is not finished; choices: checkpoint-100, checkpoint-340 in it"):
        sources.find_checkpoint(str(tmp_path))


@pytest.fixture
def nearby(hub, ctc, tmp_path, monkeypatch):
    """The stand-in as the hub of this very process, where the client has read its settings already."""
    for key in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)
    changed = {
        "ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": False,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_DISABLE_XET": True,
    }  # fmt: skip
    for name, value in changed.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(sources, "SILENCE", 0.3)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between what the client tries again
    hub.folders["org/ctc"] = ctc
    sources.download.cache_clear()
    yield hub
    sources.download.cache_clear()


@pytest.mark.parametrize("misdeed", ["hangs", "breaks off", b"<html>log in here</html>", b'[{"sha": 7}, null]'])
@pytest.mark.parametrize("where", ["/revision/main", "/tree/"])
def test_a_hub_that_fails_during_a_download_is_reported_in_one_line_and_asked_again(where, misdeed, nearby):
    nearby.misdeeds[where] = misdeed
    with pytest.raises(UserError, match=r"^org/ctc: not in the local cache, and the hub ") as error:
        built("org/ctc")
    assert "\n" not in str(error.value)
    nearby.misdeeds.clear()
    sources.download.cache_clear()
    assert_encoder_is(load_file(nearby.folders["org/ctc"] / "model.safetensors"), built("org/ctc")[0].state_dict())
