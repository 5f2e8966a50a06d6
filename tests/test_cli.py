import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from helpers.commands import ser

from ser import apps, cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "no command 'trian'; did you mean `ser train`?; choices: prepare-data, train"),
        (["prepare_data"], "did you mean `ser prepare-data`?"),
        (["train", "--root"], "--root: its value is empty; give a path"),
        (
            ["train", "modle=hubert_large"],
            "Key 'modle' not in 'Train'; did you mean model?; choices: corpus, protocol, model,",
        ),
        (
            ["train", "model=hubert_lrge"],
            "Could not find 'model/hubert_lrge'; did you mean hubert_large?; choices of 'model': any, data2vec_base",
        ),
        (
            ["train", "trainer.learning_rate=abc"],
            "trainer.learning_rate: Value 'abc' of type 'str' could not be converted",
        ),
        (
            ["train", "+trainer.learning_rte=1e-4"],
            "trainer.learning_rte: Key 'learning_rte' not in 'Trainer'; did you mean learning_rate?; choices: num",
        ),
        (["train", "trainer.lr=1e-4"], "trainer.lr: Key 'lr' not in 'Trainer'; did you mean learning_rate?"),
        (["train", "learning_rate=1e-4"], "Key 'learning_rate' not in 'Train'; did you mean trainer.learning_rate?"),
        (["train", "lr=1e-4"], "Key 'lr' not in 'Train'; did you mean model.lora_rank or trainer.learning_rate?"),
        (["train", "epochs=4"], "Key 'epochs' not in 'Train'; did you mean trainer.num_train_epochs?"),
        (["train", "model.freeze=all"], "model.freeze=all: choices: cnn, encoder, none, layers:N"),
        (["train", "model=[tiny"], "no viable alternative"),
        (
            ["train", "model=tyny"],
            "ser: In 'train': Could not find 'model/tyny'; did you mean tiny?; choices of 'model': any, ",
        ),
        (["train", "seed=1", "model=0"], "ser: seed=1 model=0: Config group override must be a string or a list."),
        (["train", "protocol=emobox", "protocol.fold=7"], "has the folds 1, 2, 3, 4, 5, 6"),
        (["train", "overwrite=true", "resume=true"], "overwrite=true and resume=true contradict each other"),
        (["train", "overwrite=true", "resume=auto"], "overwrite=true and resume=auto contradict each other"),
        (["train", "resume=atuo"], "resume=atuo: choices: true, false, auto"),
        (["train", "trainer.save_steps=150"], "multiple of trainer.eval_steps=100"),
        (["train", "corpus=crema"], "ravdess"),
        (["evaluate"], "checkpoint"),
        (["evaluate", "checkpoint=x", "split=tset"], "tset"),
        (["push", "checkpoint=x"], "ser: give repo=...; with --help the command says what it is"),
        (["predict"], "ser: give audio=... checkpoint=...; with --help"),
        (["push", "checkpoint=x", "repo=a/b", "+token=hf_x"], "Key 'token' not in 'Push'; choices: checkpoint, repo"),
        (["push", "checkpoint=x", "repo=a/b", "output_dir=y"], "output_dir=y: only dry_run=true writes there"),
        (["export"], "checkpoint"),
        (["export", "checkpoint=x", "quantize=int4"], "expected one of [int8]"),
        (["export", "checkpoint=x", "format=tflite"], "ONNX is the only format"),
    ],
)
def test_a_mistake_ends_the_run_and_is_named(arguments, message, tmp_path):
    result = ser(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/data/RAV DESS,v1=(a)'s", "/data/${x}/[1]", "C:\\RAVDESS\\"])
def test_root_is_a_flag_and_may_hold_any_character(path, tmp_path):
    result = ser("prepare-data", "--root", path, cwd=tmp_path)
    assert result.returncode == 1
    assert f"root={path}: there is no such folder" in result.stderr


@pytest.mark.parametrize(("line", "words"), [("ser tr", "train"), ("ser train model=hub", "model=hubert_large")])
def test_tab_completes_commands_and_options(line, words):
    result = ser("-sc", "query=bash", env={"COMP_LINE": line, "PATH": ""})
    assert words in result.stdout.split()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--cfg", "job"], ["train", "--help"]])
def test_help_and_config_answer_without_torch(arguments):
    program = (
        "import sys, runpy\n"
        f"sys.argv = ['ser', *{arguments!r}]\n"
        "try: runpy.run_module('ser', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_the_run_folder_is_named_by_the_run():
    result = ser("train", "--cfg", "job", "--resolve", "protocol=emobox", "protocol.fold=3", "model=tiny", "seed=7")
    assert "output_dir: runs/ravdess-emobox-tiny-seed7" in result.stdout
    assert "data_dir: data/ravdess" in result.stdout


@pytest.mark.parametrize(
    ("given", "used"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_threads_wait_for_one_another_shortly_unless_the_user_decides(given, used, monkeypatch):
    environment = {name: text for name, text in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    monkeypatch.setattr(os, "environ", environment | given)
    monkeypatch.setattr(apps, "run", lambda command, words: None)
    cli.run("train", [])
    assert os.environ.get("GOMP_SPINCOUNT") == used
    assert os.environ.get("OMP_WAIT_POLICY") == given.get("OMP_WAIT_POLICY")


def test_the_version_is_that_of_the_distribution(tmp_path):
    result = ser("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"ser {version('ser-finetune')}\n")
