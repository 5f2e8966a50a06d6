"""A server with a random model, started as its users start it, and files of every kind to send to it."""

import http.client
import io
import json
import os
import signal
import socket
import struct
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import soundfile
import torch
from conftest import composed, tone

from helpers.commands import PYTHON
from ser.corpora.ravdess import EMOTIONS
from ser.models import checkpoint

STAMP = {
    "corpus": "ravdess",
    "model": "tiny",
    "identity": {"name": "emobox", "fold": None, "seed": 0, "test_sha256": "same"},
    "step": 600,
}


def random_checkpoint(folder, stamp=STAMP, broken=False):
    """A checkpoint in a run folder; a broken one predicts NaN."""
    torch.manual_seed(0)
    classifier, extractor = checkpoint.build(composed("train", "model=tiny").model, EMOTIONS)
    if broken:
        for weight in classifier.classifier.parameters():
            weight.data.fill_(float("nan"))
    checkpoint.save(classifier, extractor, folder / "checkpoint", stamp)
    return folder


@dataclass
class Server:
    address: str
    process: subprocess.Popen
    temporary: Path
    """Where its private folder is, and anything else that it forgets."""

    @property
    def host(self):
        return urlsplit(self.address).netloc

    def ask(self, method, path, body=None, headers=()):
        """Status, headers and text; an iterator as the body is sent in chunks, its length unsaid."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, content

    def predict(self, body, query="", headers=()):
        status, _, content = self.ask("POST", f"/predict{query}", body, headers)
        return status, json.loads(content)

    def upload(self, content, name="voice.wav"):
        """Status and text that the form of the page gets."""
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        form = head.encode() + content + b"\r\n--x--\r\n"
        status, _, answer = self.ask(
            "POST", "/gradio_api/upload", form, {"Content-Type": "multipart/form-data; boundary=x"}
        )
        return status, json.loads(answer)

    def connect(self, sent=b""):
        """A bare connection."""
        host, port = self.host.split(":")
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.sendall(sent)
        return connection

    def files(self):
        return [path for path in self.temporary.rglob("*") if path.is_file()]


@contextmanager
def served(folder, temporary, *overrides, logged=()):
    """A server on a free port; at its end by Ctrl-C nothing may be left of it.

    Args:
        folder: the checkpoint.
        temporary: for its temporary files.
        overrides: of its configuration.
        logged: texts that it must log beside its two usual lines; none: nothing may go wrong in it.
    """
    process = subprocess.Popen(
        [PYTHON, "-m", "ser", "serve", f"checkpoint={folder}", "port=0", *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()
        yield Server(address, process, temporary)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    if logged:
        assert all(text in errors for text in logged), errors
    else:
        assert len(errors.splitlines()) == 2, errors  # which model it is, and that it has stopped
    left = [path.name for path in temporary.rglob("*")]
    assert left == [], left


def wav(samples, rate=16000, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", **options)
    return buffer.getvalue()


def speech(seconds=0.5, rate=16000, frequency=220.0):
    return wav(tone(seconds, rate, frequency), rate, subtype="PCM_16")


def float_wav(value):
    samples = tone(0.5)
    samples[100] = value
    return wav(samples, subtype="FLOAT")


def ten_hours(content=b"\0" * 1000):
    """A header that promises ten hours, over what there is."""
    size = 36_000 * 32_000
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + form + struct.pack("<4sI", b"data", size) + content


def encoded(kind, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(0.5), 16000, format=kind, **options)
    return buffer.getvalue()


GOOD = {
    "192 kHz": speech(rate=192_000),
    "8 channels": wav(np.stack([tone(0.5)] * 8, axis=1), subtype="PCM_16"),
    "FLAC": encoded("FLAC"),
    "OGG": encoded("OGG", subtype="VORBIS"),
    "AIFF": encoded("AIFF"),
}
BAD = {
    "text": (b"RIFFs are fun, but this is no audio" * 40, "cannot be decoded"),
    "zip": (b"PK\x03\x04" + b"\0" * 500, "cannot be decoded"),
    "header cut": (speech()[:30], "it"),
    "data cut": (speech()[:5000], "truncated"),
    "flac cut": (encoded("FLAC")[:200], "it"),
    "ten hours": (ten_hours(), "truncated"),
    "no samples": (wav(np.empty(0), subtype="PCM_16"), "no samples"),
    "one sample": (wav(np.ones(1) / 2, subtype="PCM_16"), "too short"),
    "NaN": (float_wav(np.nan), "NaN or infinite"),
    "infinite": (float_wav(np.inf), "NaN or infinite"),
    "impossible rate": (wav(tone(0.5), 1, subtype="PCM_16"), "impossible"),
    "too long": (speech(31), "longer than max_seconds=30"),
    "empty": (b"", "empty"),
}
