import os
import signal
import subprocess
import sys

import pytest
from conftest import composed, ser

from ser.corpora.ravdess import EMOTIONS
from ser.errors import UserError
from ser.models import checkpoint

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    classifier, extractor = checkpoint.build(composed("train", "model=tiny").model, EMOTIONS)
    checkpoint.save(classifier, extractor, folder / "checkpoint", {})
    return folder


def test_a_missing_checkpoint_is_told_in_a_line_and_nothing_is_left(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = ser("serve", f"checkpoint={tmp_path / 'none'}", "port=0", env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"ser: checkpoint={tmp_path / 'none'}: there is no such folder\n"
    assert list(temporary.iterdir()) == []


def test_a_missing_gradio_is_told_with_what_to_install(run):
    # Stands in front of the installed one and hides it.
    hidden = "import sys; sys.modules['gradio'] = None; sys.argv[0] = 'ser'; from ser.cli import main; main()"
    command = [sys.executable, "-c", hidden, "serve", f"checkpoint={run}", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == 'ser: ser serve needs gradio: pip install "ser-finetune[serve]"'


def test_it_prints_its_address_alone_and_ends_quietly(run, tmp_path):
    command = [sys.executable, "-m", "ser", "serve", f"checkpoint={run}", "port=0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        address = process.stdout.readline()
        process.send_signal(signal.SIGTERM)  # Ctrl-C: tests/serving/toy_server.py
        rest, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert address.startswith("http://127.0.0.1:")
    assert rest == ""
    assert process.returncode == 0
    assert said == f"{run}: not trained by ser; nothing is known of how well it does\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "override",
    ["port=70000", "max_megabytes=0", "queue=0", "window=31", "hop=0.5", "hop=5", "patience=-1", "longest=0"],
)
def test_limits_that_let_nothing_through_are_refused(override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        composed("serve", "checkpoint=run", override)


def test_only_this_machine_is_answered_unless_told():
    assert composed("serve", "checkpoint=run").host == "127.0.0.1"
