"""A hub and a tracker on loopback that hang, break off, refuse and answer nonsense."""

import itertools
import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from faults_disks import finished
from faults_ground import RECIPES, Ended, Ground, Part, compare, results, ser, tidy

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from helpers.stand_in_hub import COMMIT, TOKEN, Answer, Repository, StandInHub

MISDEEDS = ("hangs", "breaks off", "500", "HTML", "nonsense", "redirects for ever", "half a body")
DOWNLOAD, PUSH = (
    ("api/models", "config.json", "model.safetensors"),
    ("create", "preupload", "batch", "storage", "commit"),
)
REPOSITORY, CLIP = "anna/model", "corpus/Actor_01/03-01-05-01-01-01-01.wav"
ONLINE = {
    "HF_HUB_OFFLINE": "0",
    "NO_PROXY": "127.0.0.1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_TOKEN": TOKEN,
    "HF_HUB_DOWNLOAD_TIMEOUT": "3",
    "HF_HUB_ETAG_TIMEOUT": "3",
}
"""The client waits ten seconds for each answer if left to itself."""
PATIENCE = 600
"""Seconds: a minute without a word, and the client asks up to six times."""


class Hostile(BaseHTTPRequestHandler):
    """Misbehaves in the way that its server is set to."""

    protocol_version = "HTTP/1.1"

    def misbehave(self, misdeed: str) -> None:
        self.close_connection = True
        if misdeed == "hangs":
            self.server.woken.wait(300)  # type: ignore[attr-defined]
        elif misdeed == "breaks off":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif misdeed == "redirects for ever":
            self.reply(302, b"", Location=self.path)
        elif misdeed == "half a body":
            self.reply(200, b'{"id": "anna', Length="1000")
        else:
            body = {"500": b"oops", "HTML": b"<html>log in here</html>"}.get(misdeed, b'[{"sha": 7}, null]')
            kind = "text/html" if misdeed == "HTML" else "application/json"
            self.reply(500 if misdeed == "500" else 200, body, **{"Content-Type": kind})

    def reply(self, status: int, body: bytes, Length: str | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", Length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class HostileAnswer(Hostile, Answer):
    """A hub that gives a checkpoint and takes one, and misbehaves where a path holds a word."""

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.server.where is not None and self.server.where in path:
            self.misbehave(self.server.misdeed)
        elif self.command in ("GET", "HEAD") and "/resolve/" in path:
            self.give(self.server.checkpoint / path.rsplit("/", 1)[1])
        elif self.command == "GET" and path.startswith(f"/api/models/{REPOSITORY}/tree") and not self.server.takes:
            files = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                for file in self.server.checkpoint.iterdir()
            ]
            self.reply(200, json.dumps(files).encode())
        elif self.command == "GET" and path.startswith(f"/api/models/{REPOSITORY}") and not self.server.takes:
            names = [{"rfilename": file.name} for file in self.server.checkpoint.iterdir()]
            self.reply(200, json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": names, "private": True}).encode())
        else:
            super().answer()

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def give(self, file: Path) -> None:
        if file.is_file():
            self.reply(200, file.read_bytes(), ETag=f'"{file.name}"', **{"X-Repo-Commit": COMMIT})
        else:
            self.reply(404, b"", **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})


class HostileHub(StandInHub):
    def __init__(self, checkpoint: Path, takes: bool) -> None:
        super().__init__()
        self.RequestHandlerClass = HostileAnswer
        self.checkpoint, self.takes = checkpoint, takes
        self.where: str | None = None
        self.misdeed, self.woken = "", threading.Event()


class Tracker(ThreadingHTTPServer):
    """What wandb's client talks to; after some requests that it does not answer well either."""

    daemon_threads = True

    def __init__(self, misdeed: str) -> None:
        super().__init__(("127.0.0.1", 0), TrackerAnswer)
        self.url, self.misdeed, self.woken = f"http://127.0.0.1:{self.server_port}", misdeed, threading.Event()


class TrackerAnswer(Hostile):
    def answer(self) -> None:
        self.misbehave(self.server.misdeed)  # type: ignore[attr-defined]

    do_GET = do_HEAD = do_POST = do_PUT = answer


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.woken.set()
        server.shutdown()
        server.server_close()


def hub(ground: Ground, count: int) -> Part:
    """Download from and push to a hub that misbehaves at each of its answers, and then to the same one mended."""
    part, place = Part("a hostile hub"), finished(ground)
    local = ser(place, "predict", "checkpoint=run", f"audio={CLIP}", "output=local.csv")
    assert local.code == 0, local.output
    cases = [*itertools.product(["download"], DOWNLOAD, MISDEEDS), *itertools.product(["push"], PUSH, MISDEEDS)]
    for number, (kind, where, misdeed) in enumerate(ground.random.sample(cases, min(count, len(cases)))):
        with serving(HostileHub(place / "run" / "checkpoint", takes=kind == "push")) as server:
            env = {**ONLINE, "HF_ENDPOINT": server.url, "HF_HOME": str(place / f"cache-{number}")}
            server.where, server.misdeed = where, misdeed
            what = f"{kind}, {where} {misdeed}"
            part.count(f"{kind}, {misdeed}")
            begun = time.monotonic()
            ended = (download if kind == "download" else push)(part, place, env, server, what)
            part.check(TOKEN not in ended.output, f"{what}: the token is in the output")
            print(f"  {what}: {ended.code} after {time.monotonic() - begun:.0f} s, {ended.last[:150]}", flush=True)
    shutil.rmtree(place)
    return part


def download(part: Part, place: Path, env: dict[str, str], server: HostileHub, what: str) -> Ended:
    """Predict with a checkpoint of the hub: refused, or the answer of the same checkpoint read from the disk."""
    first = predict(part, place, env, what)
    server.where = None
    again = predict(part, place, env, f"{what}, mended")
    part.check(again.code == 0, f"{what}, mended: status {again.code} ({again.last})")
    return first


def predict(part: Part, place: Path, env: dict[str, str], what: str) -> Ended:
    (place / "answers.csv").unlink(missing_ok=True)
    command = ("predict", f"checkpoint={REPOSITORY}", f"audio={CLIP}", "output=answers.csv")
    ended = ser(place, *command, real=True, env=env, limit=PATIENCE)
    tidy(part, ended, what)
    same = ended.code != 0 or (place / "answers.csv").read_bytes() == (place / "local.csv").read_bytes()
    part.check(same, f"{what}: accepted, with another answer")
    return ended


def push(part: Part, place: Path, env: dict[str, str], server: HostileHub, what: str) -> Ended:
    """Push a run: refused and nothing half there, or all there; the mended hub takes it."""
    command = ("push", "checkpoint=run", f"repo={REPOSITORY}")
    first = ser(place, *command, real=True, env=env, limit=PATIENCE)
    tidy(part, first, what)
    held: dict[str, Repository] = server.repositories
    files = held[REPOSITORY].files if REPOSITORY in held else {}
    part.check(first.code != 0 or "model.safetensors" in files, f"{what}: accepted, and the hub has nothing")
    server.where = None
    again = ser(place, *command, real=True, env=env, limit=PATIENCE)
    tidy(part, again, f"{what}, mended")
    whole = REPOSITORY in held and "model.safetensors" in held[REPOSITORY].files
    part.check(again.code == 0 and whole, f"{what}, mended: status {again.code} ({again.last})")
    return first


def tracker(ground: Ground, count: int) -> Part:
    """Train with W&B online at a server that misbehaves: refused before training, or trained to the same weights."""
    part, words = Part("a hostile tracker"), RECIPES["one run"]
    expected, _ = ground.uninterrupted(words)
    cases = [misdeed for misdeed in MISDEEDS if misdeed != "redirects for ever"]
    for misdeed in ground.random.sample(cases, min(count, len(cases))):
        place, what = ground.place(), f"wandb, {misdeed}"
        with serving(Tracker(misdeed)) as server:
            env = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0" * 40, "WANDB_MODE": "online", "HOME": str(place)}
            ended = ser(place, "train", *words, "tracking=wandb", "output_dir=run", real=True, env=env)
        part.count(misdeed)
        tidy(part, ended, what)
        print(f"  {what}: {ended.code} after {ended.seconds:.0f} s, {ended.last[:150]}", flush=True)
        begun = any((place / "run").glob("checkpoint-*"))
        part.check(ended.code == 0 or not begun, f"{what}: it ends a run that trains ({ended.last})")
        if ended.code != 0:
            ended = ser(place, "train", *words, "output_dir=run", "resume=true")
            part.check(ended.code == 0, f"{what}, then tracking=none: status {ended.code} ({ended.last})")
        if ended.code == 0:
            compare(part, expected, results(place / "run"), what)
        shutil.rmtree(place)
    no_tensorboard(ground, part)
    return part


def no_tensorboard(ground: Ground, part: Part) -> None:
    """Something stands where TensorBoard's folder goes."""
    words, place = RECIPES["one run"], ground.place()
    ended = ser(place, "train", *words, "output_dir=run", "hydra.run.dir=.", "tracking=tensorboard")
    tidy(part, ended, "tensorboard")
    for path in (place / "run" / "tensorboard", place / "run" / "environment.json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (place / "run" / "tensorboard").write_text("a file")
    ended = ser(place, "train", *words, "output_dir=run", "resume=true", "tracking=tensorboard")
    part.count("tensorboard's folder is a file")
    tidy(part, ended, "tensorboard's folder is a file")
    shutil.rmtree(place)
