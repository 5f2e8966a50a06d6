"""Toys that several rooms share: RAVDESS-shaped folders of short tones, a prepared one, a tiny encoder.

PyTorch is imported by the fixtures: pytest-xdist's first process reads this file too, and the others wait for it.
"""

import gc
import io
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import blank_figures, fork_server
from helpers.compositions import SMALL, composed
from helpers.shared_folders import made_once

from ser import config, ending
from ser.config import Corpus
from ser.corpora.ravdess import EMOTION_CODES

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config):
    """Start the server that forks processes, once for a session; it imports nothing until it is used."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script that starts the tests with `&` has it ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(*fork_server.RARE_COLLECTIONS)
    fork_server.skip_fsync()
    os.environ["TORCH_FAKE_TENSOR_DISPATCH_CACHE"] = "0"  # a model of one layer repeats nothing: 15 % of an export
    if hasattr(config, "workerinput"):
        sys.executable = config.workerinput["executable"]
    else:
        config.fork_server = fork_server.start()
        # The processes of pytest-xdist are forked from it as well: each would import all for itself.
        launcher = Path(os.environ[fork_server.FOLDER], "ser-bin", "python")
        config.option.tx = [f"{spec}//python={launcher}" for spec in getattr(config.option, "tx", [])]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell a process of pytest-xdist which Python it stands for."""
    node.workerinput["executable"] = sys.executable


LONG = (
    "test_parity", "test_wheel", "test_follow", "test_gpu", "test_two_hosts", "test_launching", "test_colab",
    "test_faults", "test_real_corpus",
)  # fmt: skip
"""The files with the longest tests: started first, for the last one would be waited for with nothing else to do."""


def pytest_collection_modifyitems(config, items):
    """Let each process of pytest-xdist begin with its share of LONG: `--dist worksteal` gives it a part of the list."""
    others = [item for item in items if item.path.stem not in LONG]
    long = {name: [item for item in items if item.path.stem == name] for name in LONG}
    processes, ordered = int(getattr(config, "workerinput", {}).get("workercount", 1)), []
    for process in range(processes):
        number = (len(items) - len(ordered)) // (processes - process)
        share = [item for name in LONG[process::processes] for item in long[name]]
        rest = max(0, number - len(share))
        ordered += share + others[:rest]
        del others[:rest]
    items[:] = ordered + others


def pytest_collection_finish():
    """Leave what imports and the collection have made out of each garbage collection: one is part of every training."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def rare_objects():
    """Do the same with what a module's tests have imported, which may be hundreds of thousands of objects."""
    yield
    if len(gc.get_objects()) > 100_000:
        gc.collect()
        gc.freeze()


def pytest_unconfigure(config):
    if server := getattr(config, "fork_server", None):
        server.stdin.close()
        server.wait()


def tone(seconds, rate=16000, frequency=220.0, level=0.3):
    """A mono float tone."""
    return level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def write_corpus(root, actors=range(1, 25), repetitions=("01",), seconds=0.25, rate=16000):
    """A RAVDESS-shaped corpus in which each emotion has its own pitch; 8 emotions x 2 statements for each actor."""
    for actor in actors:
        folder = root / f"Actor_{actor:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        for emotion in EMOTION_CODES:
            for statement in ("01", "02"):
                for repetition in repetitions:
                    length = seconds * (1 + 0.01 * actor + 0.1 * int(statement))
                    frequency = 150 * 1.25 ** int(emotion) + actor + 7 * int(repetition)
                    path = folder / f"03-01-{emotion}-01-{statement}-{repetition}-{actor:02d}.wav"
                    soundfile.write(path, tone(length, rate, frequency), rate, subtype="PCM_16")
    return root


def prepare_toy(root, folder):
    """Prepare a corpus of `write_corpus` in a folder, and return the folder."""
    from ser.data.preparation import prepare

    prepare(config.Corpus("ravdess"), composed("train").protocol, str(root), str(folder), config.Audit.warn)
    return folder


@pytest.fixture
def begin_command(monkeypatch):
    """A function that installs the signal handlers of a command in this process."""
    before = {number: signal.getsignal(number) for number in ending.SIGNALS}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def begin():
        monkeypatch.setattr(ending, "interruption", ending.Interruption())
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        ending.listen()

    yield begin
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Where a test of tests/gpu computes: the CPU or, marked `gpu`, a GPU, which `ser` takes wherever there is one."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    if request.param == "cpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU here, which `ser` takes")
    return torch.device(request.param)


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def data_dir(corpus_root, tmp_path_factory):
    """The toy corpus, prepared."""
    return prepare_toy(corpus_root, tmp_path_factory.mktemp("data") / "ravdess")


@pytest.fixture(scope="module")
def data_copy(data_dir, tmp_path_factory):
    """The prepared toy corpus in a folder of the module's own: features are cached below it."""
    folder = tmp_path_factory.mktemp("copy") / "data"
    shutil.copytree(data_dir, folder)
    return folder


@pytest.fixture
def prepared(data_dir):
    from ser.data.prepared_corpus import open_prepared

    return open_prepared(str(data_dir), Corpus("ravdess"))


def restored(root, *arguments):
    """The real corpus, or some of its actors, written below `root`."""
    restore = SHARED / "ravdess" / "restore.py"
    if not restore.is_file():
        pytest.skip("the real corpus (../shared/ravdess) is not here")
    subprocess.run([sys.executable, restore, root, *arguments], check=True, capture_output=True)
    return root


@pytest.fixture(scope="session")
def ravdess(tmp_path_factory):
    """Two actors of the real corpus, among them stereo files and the identical pair."""
    return restored(tmp_path_factory.mktemp("ravdess"), "--actors", "7", "20")


@pytest.fixture(scope="session")
def whole_ravdess(tmp_path_factory):
    return made_once(tmp_path_factory, "whole-ravdess", restored)


@pytest.fixture(scope="session")
def moonshine():
    folder = SHARED / "encoders" / "moonshine-tiny"
    if not folder.is_dir():
        pytest.skip("the real encoder (../shared/encoders/moonshine-tiny) is not here")
    return folder


@pytest.fixture(scope="session")
def finished_run(data_dir, tmp_path_factory):
    """A run folder as `ser train` leaves it, after one step of a small encoder; copy it before changing anything."""
    from ser.commands.train import train

    folder = tmp_path_factory.mktemp("finished") / "run"
    quick = (*SMALL, "trainer=scratch", "tracking=none", "trainer.max_steps=1")
    with drawing_nothing():
        train(composed("train", *quick, f"data_dir='{data_dir}'", f"output_dir='{folder}'"))
    return folder


@pytest.fixture(scope="session")
def exported_run(data_dir, tmp_path_factory):
    """A run of one fold with all that it can write, exported; copy it before changing anything.

    `printed.txt` beside the fold is what `ser export` printed.
    """
    from helpers.tiny_runs import run

    from ser.commands.export import export

    def make(folder):
        given = ("protocol=emobox", "protocol.fold=1", "tracking=tensorboard")
        with drawing_nothing():
            run(data_dir, folder, *given)
        words = (f"checkpoint='{folder / 'fold1'}'", "quantize=int8", f"data_dir='{data_dir}'")
        with redirect_stdout(io.StringIO()) as printed:
            export(composed("export", *words))
        (folder / "printed.txt").write_text(printed.getvalue())

    return made_once(tmp_path_factory, "exported-run", make)


@pytest.fixture(scope="module", autouse=True)
def figures_are_blank(request):
    """Write blank figures where runs are tested and not what they look like.

    tests/reports draws them, and so do the commands of test_colab, test_wheel and test_real_corpus.
    """
    rooms = ("acceleration", "commands", "experiments", "gpu", "runs", "training")
    files = ("test_pooled", "test_launching", "test_gpu", "test_benchmark", "test_reproduce_paper")
    if request.path.parent.name in rooms or request.path.stem in files:
        with drawing_nothing():
            yield
    else:
        yield


@contextmanager
def drawing_nothing():
    """Write blank figures, here and in the commands that are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(blank_figures.VARIABLE, "1")
        blank_figures.draw_nothing(patch.setattr)
        yield
