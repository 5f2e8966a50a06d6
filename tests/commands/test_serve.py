import io
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from conftest import composed
from helpers.commands import PYTHON, ser
from helpers.toy_server import Server, speech

from ser.config import Ensemble
from ser.corpora.ravdess import EMOTIONS
from ser.data import audio
from ser.errors import UserError
from ser.inference.predictor import Predictor
from ser.models import checkpoint

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    classifier, extractor = checkpoint.build(composed("train", "model=tiny").model, EMOTIONS)
    checkpoint.save(classifier, extractor, folder / "checkpoint", {})
    return folder


def test_a_missing_checkpoint_is_reported_in_one_line_and_nothing_is_left(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = ser("serve", f"checkpoint={tmp_path / 'none'}", "port=0", env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"ser: checkpoint={tmp_path / 'none'}: there is no such folder\n"
    assert list(temporary.iterdir()) == []


def test_a_missing_gradio_is_reported_with_what_to_install(run):
    # Stands in front of the installed one and hides it.
    hidden = "import sys; sys.modules['gradio'] = None; sys.argv[0] = 'ser'; from ser.cli import main; main()"
    command = [PYTHON, "-c", hidden, "serve", f"checkpoint={run}", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == 'ser: ser serve needs gradio: pip install "ser-finetune[serve]"'


def test_it_prints_its_address_alone_and_ends_quietly(run, tmp_path):
    command = [PYTHON, "-m", "ser", "serve", f"checkpoint={run}", "port=0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        address = process.stdout.readline()
        process.send_signal(signal.SIGTERM)  # Ctrl-C: tests/helpers/toy_server.py
        rest, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert address.startswith("http://127.0.0.1:")
    assert rest == ""
    assert process.returncode == 0
    assert said == f"{run}: not trained by ser; nothing is known of how well it does\nstopped\n"
    assert list(tmp_path.iterdir()) == []


# Ctrl-C is ignored in what a shell starts in the background.
WITH_CTRL_C = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"


@contextmanager
def starting(run, temporary, *overrides, instead=""):
    """A process of `ser serve`, before which a line of Python runs."""
    program = f"{WITH_CTRL_C}; sys.argv[0] = 'ser'; {instead}\nfrom ser.cli import main; main()"
    process = subprocess.Popen(
        [PYTHON, "-c", program, "serve", f"checkpoint={run}", "port=0", *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()


STARTS_FOREVER = """
import time
import ser.commands.serve as command
def describe(*_):
    print("describing", flush=True)
    time.sleep(600)
command.defer_checkpoints = describe
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_it_starts_is_a_line_and_leaves_nothing(run, tmp_path, number):
    with starting(run, tmp_path, instead=STARTS_FOREVER) as process:
        assert process.stdout.readline() == "describing\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "ser: stopped before the server answered\n")
    assert list(tmp_path.iterdir()) == []


def loads_after(gate):
    """Return a program that loads a checkpoint when something is written to a named pipe."""
    return f"""
import ser.inference.deferred_member as deferred_member
open_member = deferred_member.open_member
def load(given):
    open({str(gate)!r}).read()
    return open_member(given)
deferred_member.open_member = load
"""


@pytest.fixture
def gate(tmp_path):
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


def test_it_answers_before_the_network_is_loaded_and_a_recording_waits_for_it(run, gate, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with starting(run, temporary, instead=loads_after(gate)) as process, ThreadPoolExecutor(1) as elsewhere:
        server = Server(process.stdout.readline().strip(), process, temporary)
        assert json.loads(server.ask("GET", "/health")[2]) == {"emotions": list(EMOTIONS), "busy": 0, "loaded": False}
        assert EMOTIONS[0] in server.ask("GET", "/")[2]
        asked = elsewhere.submit(server.predict, speech())
        while json.loads(server.ask("GET", "/health")[2])["busy"] == 0:
            pass
        assert not asked.done()
        gate.write_text("load")
        status, answer = asked.result()
        assert json.loads(server.ask("GET", "/health")[2])["loaded"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    (right,) = Predictor.from_checkpoints([str(run)], Ensemble.mean, 8).predict([audio.load_short(speech(), 30)])
    assert status == 200
    assert answer["answers"][0]["probabilities"] == pytest.approx(right.probabilities, abs=1e-5)


def test_a_checkpoint_that_cannot_be_loaded_ends_the_server_in_one_line(run, gate, tmp_path):
    temporary, broken = tmp_path / "temporary", tmp_path / "broken"
    temporary.mkdir()
    shutil.copytree(run, broken)
    (broken / "checkpoint" / "checksums.json").unlink()
    (broken / "checkpoint" / "model.safetensors").write_bytes(b"no tensors" * 1000)
    with starting(broken, temporary, instead=loads_after(gate)) as process, ThreadPoolExecutor(1) as elsewhere:
        server = Server(process.stdout.readline().strip(), process, temporary)
        asked = elsewhere.submit(server.predict, speech())
        while json.loads(server.ask("GET", "/health")[2])["busy"] == 0:
            pass
        gate.write_text("load")
        assert asked.result() == (503, {"error": "the server is stopping"})
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    _, line = said.splitlines()
    assert line.startswith(f"ser: {broken / 'checkpoint'}: broken safetensors")
    assert list(temporary.iterdir()) == []


def test_an_interruption_while_it_answers_closes_the_port_and_prints_nothing_more(run, tmp_path):
    content = io.BytesIO()
    soundfile.write(content, np.zeros(16000 * 300), 16000, format="WAV", subtype="PCM_U8")
    content = content.getvalue()
    with starting(run, tmp_path) as process:
        host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
        address = (host, int(port))
        head = f"POST /predict?window=0.2&hop=0.05 HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"
        asking = socket.create_connection(address, timeout=60)
        asking.sendall(head.encode() + content)
        while b'"busy":1' not in urllib.request.urlopen(f"http://{host}:{port}/health").read():
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [line for line in said.splitlines() if "not trained by ser" not in line] == ["stopped"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert list(tmp_path.iterdir()) == []


def test_a_second_server_on_the_port_is_refused(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ser("serve", f"checkpoint={run}", f"port={port}", env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"ser: host=127.0.0.1 port={port}: Address already in use; port=0 takes any that is free\n"


@pytest.mark.parametrize(
    "name", ["https://ser.example", "ser.example:443", "*.example", "a b", "''", "ser.example/ser"]
)
def test_what_is_no_host_name_is_refused(name):
    with pytest.raises(UserError, match="it is not a host name; give it alone"):
        composed("serve", "checkpoint=run", f'allowed_hosts=["{name}"]')


def test_allowed_hosts_are_names_and_addresses():
    for given in ("[ser.example,'::1',10.0.0.7]", "ser.example"):
        assert composed("serve", "checkpoint=run", f"allowed_hosts={given}").allowed_hosts[0] == "ser.example"


@pytest.mark.parametrize(
    "override",
    ["port=70000", "max_megabytes=0", "queue=0", "window=31", "hop=0.5", "hop=5", "timeout=-1", "max_seconds=0"],
)
def test_limits_that_let_nothing_through_are_refused(override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        composed("serve", "checkpoint=run", override)


def test_the_server_listens_on_this_machine_only_by_default():
    assert composed("serve", "checkpoint=run").host == "127.0.0.1"
