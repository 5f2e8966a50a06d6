"""`engine=ray` over a cluster of two nodes, one of which is killed, and over one that a command starts itself."""

import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import sleep

import psutil
import pytest
import soundfile
from conftest import composed, tone, write_corpus
from helpers.commands import PYTHON
from helpers.toys import saved

from ser import extras
from ser.commands.predict import predict
from ser.commands.prepare_data import prepare_data
from ser.config import Engine
from ser.data import decoding
from ser.data.engines import open_engine
from ser.errors import Interrupted, UserError
from ser.inference import blocks
from ser.inference.journal import Journal

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback alone
    "RAY_health_check_period_ms": "200",  # how soon a lost node is noticed
    "RAY_health_check_timeout_ms": "20000",  # a busy node is not a lost one, which refuses the connection
    "RAY_health_check_failure_threshold": "2",
}
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


class Nodes:
    """A head and a worker node; `kill` kills the worker, and `restore` starts another one."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.worker = None

    def restore(self):
        if self.worker is None:
            self.worker = self.cluster.add_node(**SMALL)

    def kill(self):
        (raylet,) = self.worker.all_processes["raylet"]
        node = psutil.Process(raylet.process.pid)
        assert any("Map" in name for _ in range(20_000) for name in names_below(node))  # it is at work
        self.cluster.remove_node(self.worker, allow_graceful=False)
        self.worker = None


def names_below(process):
    with suppress(psutil.NoSuchProcess):
        return [child.cmdline()[0] for child in process.children(recursive=True)]
    return []


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        started = Cluster(initialize_head=True, head_node_args=SMALL)
        patch.setenv("RAY_ADDRESS", started.address)
        yield Nodes(started)
        ray.shutdown()  # of a test that failed
        started.shutdown()


@pytest.fixture
def nodes(cluster):
    cluster.restore()
    return cluster


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus", actors=range(1, 9))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def prepare(corpus, data_dir, engine):
    prepare_data(composed("prepare_data", f"root={corpus}", f"data_dir={data_dir}", f"engine={engine}"))
    return files(data_dir)


def at_first(action, function):
    """Wrap a function: an action precedes its first call."""
    calls = []

    def wrapped(*given):
        calls.append(1)
        if len(calls) == 1:
            action()
        return function(*given)

    return wrapped


def test_a_node_that_is_lost_while_it_decodes_changes_nothing_of_what_is_prepared(nodes, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding.shards, "MOST_ROWS", 2)
    expected = prepare(corpus, tmp_path / "local", "local")
    monkeypatch.setattr(decoding, "DECODED_TOGETHER", 1)
    monkeypatch.setattr(decoding.shards, "write_shard", at_first(nodes.kill, decoding.shards.write_shard))
    assert prepare(corpus, tmp_path / "ray", "ray") == expected
    assert nodes.worker is None


def test_bad_recordings_are_refused_in_the_same_line(cluster, corpus, tmp_path):
    for number, path in enumerate(sorted(corpus.rglob("*.wav"))[3:40:9]):
        path.write_bytes(b"" if number % 2 else b"no audio")
    lines = []
    for engine in ("local", "ray"):
        with pytest.raises(UserError, match="5 unusable recordings: ") as refused:
            prepare(corpus, tmp_path / engine, engine)
        lines.append(str(refused.value))
    assert lines[0] == lines[1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("toy") / "checkpoint")


@pytest.fixture
def recordings(tmp_path):
    """Recordings of various lengths, two of which cannot be predicted and one of which is silent."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(16):
        soundfile.write(folder / f"{number:02}.wav", tone(0.2 + 0.03 * number, frequency=200 + 40 * number), 16000)
    soundfile.write(folder / "05.wav", tone(0.3, level=0), 16000)
    (folder / "07.wav").write_bytes(b"no audio")
    (folder / "11.wav").write_bytes(b"")
    return folder


def predict_into(folder, engine, checkpoint, recordings, caplog, *overrides):
    """Return the files of the predictions, and what is logged."""
    caplog.clear()
    given = f"checkpoint={checkpoint}", f"audio={recordings}", f"output={folder}/a.csv", f"engine={engine}"
    with pytest.raises(UserError, match="2 of 16 recordings could not be read"):
        predict(composed("predict", *given, *overrides))
    return files(folder), [line for line in caplog.messages if str(folder) not in line]


def test_a_node_that_is_lost_while_it_predicts_changes_no_prediction_and_no_message(
    nodes, checkpoint, recordings, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(blocks, "recordings_at_once", lambda predictor: 2)
    expected = predict_into(tmp_path / "local", "local", checkpoint, recordings, caplog)
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(nodes.kill)  # as soon as it is at work
        assert predict_into(tmp_path / "ray", "ray", checkpoint, recordings, caplog) == expected
        killed.result()
    assert nodes.worker is None


def test_windows_are_predicted_by_the_cluster_as_by_this_process(cluster, checkpoint, recordings, tmp_path, caplog):
    given = checkpoint, recordings, caplog, "window=0.1"
    expected = predict_into(tmp_path / "local", "local", *given)
    assert predict_into(tmp_path / "ray", "ray", *given) == expected


@pytest.mark.parametrize(("first", "second"), [("ray", "ray"), ("local", "ray"), ("ray", "local")])
def test_an_interrupted_prediction_is_continued_whichever_engine_began_it(
    first, second, cluster, checkpoint, recordings, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(blocks, "recordings_at_once", lambda predictor: 2)
    given = checkpoint, recordings, caplog
    expected, _ = predict_into(tmp_path / "whole", "local", *given)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "record", interrupt_after(Journal.record))
        with pytest.raises(Interrupted, match="the same command with resume=true goes on"):
            predict_into(tmp_path / "parts", first, *given)
    assert (tmp_path / "parts" / "a.partial.csv").exists()
    predicted, _ = predict_into(tmp_path / "parts", second, *given, "resume=true")
    assert predicted == expected


def interrupt_after(function):
    """Wrap a function: an interruption follows its first call."""

    def wrapped(*given):
        function(*given)
        raise KeyboardInterrupt

    return wrapped


INTERRUPTED = """
import os, signal, sys, psutil
from ser import cli
from ser.data import decoding
real = decoding.read_pending

def interrupted(*given):
    for number, row in enumerate(real(*given)):
        if number == 1:
            processes = psutil.Process().children(recursive=True)
            listening = {
                connection.laddr.ip
                for process in processes
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
            print(len(processes), *listening, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
        yield row

decoding.read_pending = interrupted
cli.main()
"""


def test_an_interrupted_command_ends_its_own_cluster_which_listened_on_loopback_alone(corpus, tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    command = [PYTHON, "-c", INTERRUPTED, "prepare-data", f"root={corpus}", f"data_dir={tmp_path}/data", "engine=ray"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        output, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "interrupted: nothing half-written" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    number, *listening = output.split()
    assert int(number) > 2
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    left = [one for one in psutil.process_iter() if session_of(one) == process.pid]
    assert not psutil.wait_procs(left, timeout=10)[1]


def test_no_thread_that_calls_ray_is_left_when_it_ends(cluster, monkeypatch):
    """Ray aborts the process where a thread of Ray Data calls it after its end, in whichever moment that is."""
    import ray

    left, end = [], ray.shutdown
    monkeypatch.setattr(ray, "shutdown", lambda: (left.extend(names_of_threads() - known), end()))
    with pytest.raises(KeyboardInterrupt), open_engine(Engine.ray, 1) as map_in_order:  # noqa: PT012
        known = names_of_threads()
        for _ in map_in_order(sleep, [0.01] * 100):
            raise KeyboardInterrupt
    assert not left


def names_of_threads():
    return {thread.name for thread in threading.enumerate()}


def session_of(process):
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def test_a_cluster_that_is_not_there_is_named(cluster, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"RAY_ADDRESS={address}: no Ray cluster is there"), open_engine(Engine.ray, 1):
        pass


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with (
        pytest.raises(UserError, match=r'engine=ray needs ray: pip install "ser-finetune\[ray\]"'),
        open_engine(Engine.ray, 1),
    ):
        pass


def test_standard_input_is_predicted_where_it_arrives(checkpoint):
    with pytest.raises(UserError, match="engine=ray: audio=- is predicted where it arrives"):
        composed("predict", f"checkpoint={checkpoint}", "audio=-", "window=1", "engine=ray")
