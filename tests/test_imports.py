"""What a command imports: each package costs up to a second of every start."""

import subprocess
import sys

import pytest
import soundfile
from conftest import tone
from helpers.compositions import SMALL

REPORTS = {"matplotlib", "sklearn"}
"""Of reports and protocols."""
TRAINING = {"datasets", "peft", "tensorboard", "wandb"}
PYTORCH = {"torch", "transformers", "scipy"}
TABLES = {"pandas", "pyarrow"}


def printed_by(words, before=""):
    """Return what a command prints, and the packages that it has imported at its end as the last line."""
    code = (
        f"import sys\n{before}\nsys.argv = {['ser', *words]!r}\n"
        "from ser.cli import main\n"
        "main()\n"
        "print('imported', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_by(words, before=""):
    """Return the packages that a command has imported at its end."""
    return set(printed_by(words, before).splitlines()[-1].split()[1:])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, tone(0.5), 16000)
    return path


@pytest.mark.parametrize(
    ("checkpoint", "unneeded"),
    [("fold1", REPORTS | TRAINING | TABLES | {"onnxruntime"}), ("fold1/onnx", REPORTS | TRAINING | TABLES | PYTORCH)],
)
def test_predict_imports_nothing_of_reports_and_training(checkpoint, unneeded, exported_run, clip):
    packages = imported_by(["predict", f"checkpoint={exported_run / checkpoint}", f"audio={clip}"])
    assert "soundfile" in packages
    assert not packages & unneeded


SERVE_NOTHING = "from ser.serving import server; server.run = lambda *_: None"
"""Ends a server before it listens and before it loads a network."""


@pytest.mark.parametrize(("checkpoint", "unneeded"), [("fold1", {"torch", "scipy"}), ("fold1/onnx", PYTORCH)])
def test_serve_answers_before_it_imports_pytorch_and_imports_nothing_of_reports_and_training(
    checkpoint, unneeded, exported_run
):
    packages = imported_by(["serve", f"checkpoint={exported_run / checkpoint}", "port=0"], SERVE_NOTHING)
    assert "gradio" in packages
    assert not packages & (REPORTS | TRAINING | unneeded)


AT_THE_FIRST_STEP = """
from transformers import Trainer

def print_and_train(*arguments, train=Trainer.training_step):
    print("first step", *{".".join(name.split(".")[:parts]) for name in sys.modules for parts in (1, 2)})
    Trainer.training_step = train
    return train(*arguments)

Trainer.training_step = print_and_train
"""


@pytest.fixture(scope="module")
def imported_by_training(data_dir, tmp_path_factory):
    """What one training has imported when its first step begins, and at its end."""
    folder = tmp_path_factory.mktemp("run") / "run"
    words = ["train", *SMALL, f"data_dir={data_dir}", f"output_dir={folder}", "trainer.max_steps=1", "tracking=none"]
    lines = printed_by([*words, "protocol=emobox", "protocol.fold=1"], AT_THE_FIRST_STEP).splitlines()
    [first] = [line for line in lines if line.startswith("first step ")]
    return set(first.split()[2:]), set(lines[-1].split()[1:])


def test_train_imports_no_tracker_server_or_exporter_that_it_does_not_use(imported_by_training):
    _, packages = imported_by_training
    assert not packages & {"gradio", "onnx", "onnxruntime", "ray", "tensorboard", "trackio", "wandb"}


def test_train_draws_and_compares_nothing_before_its_first_step(imported_by_training):
    packages, _ = imported_by_training
    assert "accelerate" in packages
    assert not packages & {*REPORTS, "scipy.signal", "scipy.stats"}
    assert not packages & {"gradio", "onnx", "onnxruntime", "tensorboard", "wandb"}


PRINT_IMPORTED = """
import types
for name in ("train", "cross_corpus"):
    module = types.ModuleType(name)
    setattr(module, name, lambda cfg: print(*sorted({"wandb.apis.public", "torch"} & set(sys.modules))))
    sys.modules[f"ser.experiments.{name}"] = module
    setattr(__import__("ser.experiments").experiments, name, module)
"""
"""Replaces what the commands run."""


@pytest.mark.parametrize("words", [("train",), ("cross-corpus", "corpus.parts=[a,b]")])
@pytest.mark.parametrize(("tracker", "imported"), [("wandb", "wandb.apis.public"), ("none", "")])
def test_the_tracker_is_imported_before_pytorch_where_one_is_used(words, tracker, imported):
    assert printed_by([*words, f"tracking={tracker}"], PRINT_IMPORTED).splitlines()[0] == imported
