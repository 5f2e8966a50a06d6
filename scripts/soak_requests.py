"""The requests that scripts/soak.py sends: each kind with its share, the status that is due, and how it is asked."""

import http.client
import json
import random
import re
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

FORMATS = {
    "wav": {"subtype": "PCM_16"},
    "flac": {},
    "ogg": {"subtype": "VORBIS"},
    "mp3": {"format": "MP3"},
    "aiff": {"subtype": "PCM_16"},
}
LEFT = 0
"""The status of a request that the client did not wait for."""


@dataclass(frozen=True)
class Server:
    """Where to ask, and what is right."""

    host: str
    clips: dict[str, bytes]
    whole: dict[str, list[dict[str, float]]]
    windows: dict[str, list[dict[str, float]]]

    def ask(self, path: str, body: bytes | None, **headers: str) -> tuple[int, bytes]:
        """Status and content of an answer."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def open(self, sent: bytes) -> socket.socket:
        """A bare connection."""
        host, port = self.host.split(":")
        connection = socket.create_connection((host, int(port)), timeout=120)
        connection.sendall(sent)
        return connection


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    kind: str
    status: int
    is_wrong: bool = False


@dataclass(frozen=True)
class Kind:
    """Requests of one kind."""

    name: str
    weight: int
    due: int
    send: Callable[[Server, random.Random], tuple[int, bool]]
    """Sends one; its status, and whether its answer is wrong."""

    def ask(self, server: Server, draw: random.Random) -> Outcome:
        """Send one."""
        return Outcome(self.name, *self.send(server, draw))


def recordings(folder: Path) -> dict[str, bytes]:
    """Tones with noise of several lengths and rates, in each format that is read."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for index, (suffix, options) in enumerate(FORMATS.items()):
        for seconds, rate in ((0.5, 16_000), (1.3, 48_000), (2.2, 44_100)):
            tone = np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * (180 + 60 * index) / rate)
            samples = 0.3 * tone + 0.01 * draw.standard_normal(len(tone))
            soundfile.write(folder / f"{suffix}{rate}.{suffix}", samples, rate, **options)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def differs(content: bytes, right: list[dict[str, float]]) -> bool:
    answers = [answer["probabilities"] for answer in json.loads(content)["answers"]]
    return len(answers) != len(right) or any(
        abs(found[label] - value) > 2e-5
        for found, due in zip(answers, right, strict=True)
        for label, value in due.items()
    )


def good(server: Server, draw: random.Random) -> tuple[int, bool]:
    name = draw.choice(list(server.clips))
    status, content = server.ask("/predict", server.clips[name])
    return status, status == 200 and differs(content, server.whole[name])


def windows(server: Server, draw: random.Random) -> tuple[int, bool]:
    name = draw.choice(list(server.clips))
    status, content = server.ask("/predict?window=1&hop=0.5", server.clips[name])
    return status, status == 200 and differs(content, server.windows[name])


def broken(server: Server, draw: random.Random) -> tuple[int, bool]:
    clip = server.clips[draw.choice([name for name in server.clips if name.startswith(("wav", "flac", "aiff"))])]
    damaged = [clip[: draw.randrange(len(clip) // 2)], draw.randbytes(draw.randrange(1, 5000)), b""]
    return server.ask("/predict", draw.choice(damaged))[0], False


def too_large(server: Server, draw: random.Random) -> tuple[int, bool]:
    return server.ask("/predict", bytes(1_000_001 + draw.randrange(500_000)))[0], False


def wrong_form(server: Server, draw: random.Random) -> tuple[int, bool]:
    return server.ask("/predict", b"--x--", **{"Content-Type": "multipart/form-data; boundary=x"})[0], False


def wrong_option(server: Server, draw: random.Random) -> tuple[int, bool]:
    option = draw.choice(["window=nan", "window=1e9", "hop=1", "window=1&window=2", "other=1"])
    return server.ask(f"/predict?{option}", next(iter(server.clips.values())))[0], False


def foreign(server: Server, draw: random.Random) -> tuple[int, bool]:
    return server.ask("/predict", b"x", Origin="https://evil.example")[0], False


def header(server: Server, length: int) -> bytes:
    return f"POST /predict HTTP/1.0\r\nHost: {server.host}\r\nContent-Length: {length}\r\n\r\n".encode()


def slow(server: Server, draw: random.Random) -> tuple[int, bool]:
    name = draw.choice(list(server.clips))
    clip = server.clips[name]
    with server.open(header(server, len(clip))) as connection:
        for start in range(0, len(clip), len(clip) // 5 + 1):
            connection.sendall(clip[start : start + len(clip) // 5 + 1])
            time.sleep(0.02)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, status == 200 and differs(content, server.whole[name])


def cancelled(server: Server, draw: random.Random) -> tuple[int, bool]:
    clip = server.clips[draw.choice(list(server.clips))]
    sent = draw.choice([len(clip) // 2, len(clip)])  # in the middle, or while it is answered
    server.open(header(server, len(clip)) + clip[:sent]).close()
    return LEFT, False


def page(server: Server, draw: random.Random) -> tuple[int, bool]:
    """Upload, event, stream of events: what Gradio's page does."""
    name = draw.choice(list(server.clips))
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n' % name.encode()
    content_type = "multipart/form-data; boundary=x"
    upload = form + server.clips[name] + b"\r\n--x--\r\n"
    status, content = server.ask(
        f"/gradio_api/upload?upload_id={draw.random()}", upload, **{"Content-Type": content_type}
    )
    if status != 200:
        return status, False
    session = uuid.UUID(int=draw.getrandbits(128)).hex
    data = [{"path": json.loads(content)[0], "meta": {"_type": "gradio.FileData"}}]
    event = json.dumps({"data": data, "fn_index": 0, "session_hash": session}).encode()
    status, content = server.ask("/gradio_api/queue/join", event, **{"Content-Type": "application/json"})
    if status != 200:
        return status, False
    status, content = server.ask(f"/gradio_api/queue/data?session_hash={session}", None)
    right = max(server.whole[name][0].items(), key=lambda pair: pair[1])[0]
    verdict = re.search(r"<strong>(\w+)<", content.decode())
    return status, verdict is None or verdict[1] != right


KINDS = (
    Kind("good clip", 35, 200, good),
    Kind("windows", 12, 200, windows),
    Kind("broken audio", 10, 422, broken),
    Kind("too large", 4, 413, too_large),
    Kind("form to the API", 4, 415, wrong_form),
    Kind("wrong option", 5, 400, wrong_option),
    Kind("foreign page", 4, 403, foreign),
    Kind("slow sender", 6, 200, slow),
    Kind("cancelled", 8, LEFT, cancelled),
    Kind("page", 12, 200, page),
)
