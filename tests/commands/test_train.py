import csv
import errno
import json
import os
import re
import shutil
import subprocess
import threading
from types import SimpleNamespace

import pytest
import yaml
from conftest import composed
from helpers.commands import FRESH_PYTHON, ser
from helpers.tiny_runs import QUICK, run
from safetensors.torch import load_file

from ser.errors import UserError
from ser.models import checkpoint
from ser.models.architectures import HEAD
from ser.training import checkpoint_folders
from ser.training.async_writer import AsyncWriter


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(data_dir, folder)
    return folder


def test_the_run_folder_holds_what_the_contract_says(finished):
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "checkpoint", "config.yaml", "history.csv", "predictions.csv", "classification_report.txt",
        "classification_report.json", "confusion_matrix.csv", "confusion_matrix.png", "training_graph.png",
        "report.html", "run.log", "environment.json", "train.csv", "test.csv", "breakdown.csv", "speakers.png",
        "reliability.png", "confusion_matrix.pdf", "training_graph.pdf", "speakers.pdf", "reliability.pdf",
    }  # fmt: skip
    assert 1 <= len([name for name in names if name.startswith("checkpoint-")]) <= 2
    assert not [name for name in names if name.startswith(".") or name.endswith(".tmp")]
    assert yaml.safe_load((finished / "config.yaml").read_text())["model"]["name"] == "tiny"
    assert len(list(csv.reader((finished / "history.csv").open()))) == 4


def test_the_report_names_the_test_speakers_and_where_the_checkpoint_was_chosen(finished):
    text = (finished / "classification_report.txt").read_text()
    assert "24 of 24 test speakers also occur in the training split" in text
    assert "The checkpoint was selected on this same split" in text


def test_the_checkpoint_states_what_it_was_trained_on(finished):
    stamp = json.loads((finished / "checkpoint" / "config.json").read_text())["ser"]
    report = json.loads((finished / "classification_report.json").read_text())
    assert stamp["corpus"] == "ravdess"
    assert stamp["protocol"]["name"] == "paper"
    assert stamp["identity"] == report["protocol"]
    assert stamp["step"] == report["step"]


def test_the_run_states_what_it_cost(finished):
    used = json.loads((finished / "environment.json").read_text())
    assert 0 < used["training"]["seconds_to_step"] <= used["training"]["seconds"] <= used["seconds"]
    assert used["training"]["clips_per_second"] > 0
    assert used["parameters"] == {"all": 17_496, "trained": 17_496}
    assert used["checkpoint_bytes"] == (finished / "checkpoint" / "model.safetensors").stat().st_size


def test_the_kept_checkpoint_is_the_best_of_its_history(finished):
    rows = list(csv.DictReader((finished / "history.csv").open()))
    best = max(rows, key=lambda row: float(row["eval_unweighted_average_recall"]))
    report = json.loads((finished / "classification_report.json").read_text())
    assert report["unweighted_average_recall"] == pytest.approx(float(best["eval_unweighted_average_recall"]), abs=1e-6)


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(finished, data_dir, tmp_path):
    run(data_dir, tmp_path / "same")
    run(data_dir, tmp_path / "other", "seed=1")
    answers = [(folder / "predictions.csv").read_text() for folder in (finished, tmp_path / "same", tmp_path / "other")]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_a_finished_run_is_left_alone(finished, data_dir):
    before = (finished / "environment.json").read_bytes()
    with pytest.raises(UserError, match="a finished run is here"):
        run(data_dir, finished)
    assert run(data_dir, finished, "resume=true") == pytest.approx(
        json.loads((finished / "classification_report.json").read_text())["unweighted_average_recall"]
    )
    assert (finished / "environment.json").read_bytes() == before


def interrupted_after(step, monkeypatch):
    """Ctrl-C as soon as the checkpoint of a step is whole."""
    complete = checkpoint_folders.complete

    def completed(checkpoint, *args):
        complete(checkpoint, *args)
        if checkpoint.name == f"checkpoint-{step}":
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_folders, "complete", completed)


@pytest.mark.parametrize(("step", "moved"), [(1, False), (2, False), (3, False), (2, True)])
def test_an_interrupted_run_goes_on_where_it_was_and_ends_the_same(
    step, moved, finished, data_dir, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        interrupted_after(step, patched)
        with pytest.raises(KeyboardInterrupt):
            run(data_dir, folder)
    if moved:
        folder = shutil.move(folder, tmp_path / "elsewhere")
    run(data_dir, folder, "resume=true")
    assert f"checkpoint-{step}" in (folder / "run.log").read_text()
    assert (folder / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()
    assert without_seconds(folder) == without_seconds(finished)
    assert (folder / "checkpoint" / "model.safetensors").read_bytes() == (
        finished / "checkpoint" / "model.safetensors"
    ).read_bytes()


def test_a_run_whose_best_checkpoint_was_lost_is_never_finished_with_other_weights(data_dir, tmp_path, monkeypatch):
    # A learning rate of zero: no step is better than the first.
    few = ("trainer.learning_rate=0", "trainer.max_steps=4")
    with monkeypatch.context() as patched:
        interrupted_after(3, patched)
        with pytest.raises(KeyboardInterrupt):
            run(data_dir, tmp_path / "run", *few)
    left = tmp_path / "run" / "checkpoint-3"
    for path in (tmp_path / "run").glob("checkpoint-*"):
        if path != left:
            shutil.rmtree(path)
    with pytest.raises(UserError, match="checkpoint-1 is gone, the best checkpoint so far; put it back, or"):
        run(data_dir, tmp_path / "run", *few, "resume=true")
    assert left.is_dir()
    assert not (tmp_path / "run" / "classification_report.json").exists()


def test_a_checkpoint_on_the_way_is_one_that_can_be_used_and_states_its_step(finished, data_dir, tmp_path):
    from ser.commands.evaluate import evaluate
    from ser.inference.checkpoint_member import CheckpointMember
    from ser.inference.predictor import describe

    last = sorted(finished.glob("checkpoint-*"))[-1]
    step = last.name.removeprefix("checkpoint-")
    assert f"as it was at step {step} of training" in describe(CheckpointMember.from_checkpoint(str(last)))
    evaluate(composed("evaluate", f"checkpoint='{last}'", f"data_dir='{data_dir}'", f"output_dir='{tmp_path / 'out'}'"))
    report = json.loads((tmp_path / "out" / "classification_report.json").read_text())
    assert report["step"] == int(step)
    text = (tmp_path / "out" / "classification_report.txt").read_text()
    assert "it was not selected on any split" in text
    assert "was selected on" not in text


def without_seconds(folder):
    rows = list(csv.DictReader((folder / "history.csv").open()))
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def contents(checkpoint):
    """The files of a checkpoint, bit by bit, but for what says where and when it was written."""
    told = ("trainer_state.json", "training_args.bin", "checksums.json", "interval.json")
    return {path.name: path.name in told or path.read_bytes() for path in checkpoint.iterdir()}


def test_a_thread_that_writes_the_checkpoints_changes_nothing_in_the_run(finished, data_dir, tmp_path):
    folder = tmp_path / "run"
    run(data_dir, folder, "trainer.background_checkpoints=true")
    assert without_seconds(folder) == without_seconds(finished)
    kept = sorted(path.name for path in finished.glob("checkpoint*"))
    assert kept == sorted(path.name for path in folder.glob("checkpoint*"))
    assert all(contents(folder / name) == contents(finished / name) for name in kept)
    assert (folder / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()


@pytest.mark.parametrize("background", ["true", "false"])
def test_a_full_disk_is_reported_in_one_line_and_the_run_resumes_when_there_is_room(
    background, finished, data_dir, tmp_path, monkeypatch
):
    folder, given, complete = (
        tmp_path / "run",
        f"trainer.background_checkpoints={background}",
        checkpoint_folders.complete,
    )

    def full(checkpoint, *args):
        if checkpoint.name == "checkpoint-2":
            # The disk is full when and where it is written, and may have room again when somebody hears of it.
            here = threading.get_ident()
            free = lambda path: SimpleNamespace(free=0 if threading.get_ident() == here else 10**12)  # noqa: E731
            patched.setattr(shutil, "disk_usage", free)
            raise OSError(errno.ENOSPC, "No space left on device")
        complete(checkpoint, *args)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_folders, "complete", full)
        with pytest.raises(
            UserError, match=rf"^no space left on the disk of {folder}; make room and give resume=true$"
        ):
            run(data_dir, folder, given)
    assert "no space left" in (folder / "run.log").read_text()
    run(data_dir, folder, given, "resume=true")
    assert "resuming from" in (folder / "run.log").read_text()
    assert (folder / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()


def killed_at(number, monkeypatch):
    """The process ends when so many checkpoints were handed to the thread, the last of which never runs."""
    start, handed = AsyncWriter.start, []

    def killed(self, work):
        handed.append(work)
        if len(handed) == number:
            self.wait()
            raise KeyboardInterrupt
        start(self, work)

    monkeypatch.setattr(AsyncWriter, "start", killed)


def test_a_run_killed_with_a_checkpoint_in_flight_goes_on_from_the_last_that_it_can(
    finished, data_dir, tmp_path, monkeypatch
):
    given = ("trainer.background_checkpoints=true", "trainer.max_steps=3", "trainer.save_total_limit=1")
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        killed_at(2, patched)
        with pytest.raises(KeyboardInterrupt):
            run(data_dir, folder, *given)
    assert (folder / "checkpoint-2" / "trainer_state.json").is_file()
    checkpoint_folders.begin(folder / "checkpoint-99")
    run(data_dir, folder, *given, "resume=true")
    assert f"resuming from {folder}/checkpoint-1" in (folder / "run.log").read_text()
    assert not (folder / "checkpoint-99").exists()
    assert (folder / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()
    assert without_seconds(folder) == without_seconds(finished)


def test_overwriting_starts_again(finished, data_dir, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    run(data_dir, folder, "overwrite=true", "trainer.max_steps=1")
    assert len(list(csv.reader((folder / "history.csv").open()))) == 2


def test_a_speaker_independent_run_is_chosen_on_its_validation_list(data_dir, tmp_path):
    run(data_dir, tmp_path / "run", "protocol=emobox", "protocol.fold=2")
    folder = tmp_path / "run" / "fold2"
    speakers = {
        side: {row["speaker"] for row in csv.DictReader((folder / f"{side}.csv").open())}
        for side in ("train", "validation", "test")
    }
    assert speakers["test"] == {"4", "10", "12", "14"}
    assert not speakers["train"] & (speakers["validation"] | speakers["test"])
    assert "Speaker-independent: no test speaker occurs in the training split." in (folder / "report.html").read_text()
    rows = list(csv.DictReader((folder / "history.csv").open()))
    assert {row["evaluated_on"] for row in rows} == {"validation"}


def test_training_prepares_the_data_where_a_root_is_given(corpus_root, tmp_path):
    run(tmp_path / "data", tmp_path / "run", f"root='{corpus_root}'")
    assert (tmp_path / "data" / "manifest.csv").is_file()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.pretrained=./nowhere", "there is no such folder"),
        ("data_dir=nowhere", "run `ser prepare-data --root DIR` first"),
        ("trainer.optim=nonsense", "nonsense"),
    ],
)
def test_a_mistake_leaves_no_run_folder(override, message, data_dir, tmp_path):
    with pytest.raises(UserError, match=message):
        run(data_dir, tmp_path / "run", override)
    assert not (tmp_path / "run").exists()


def test_early_stopping_ends_a_run_that_no_longer_improves(data_dir, tmp_path):
    # A learning rate of zero improves nothing, ever.
    run(
        data_dir,
        tmp_path / "run",
        "trainer.max_steps=20",
        "trainer.learning_rate=0",
        "trainer.early_stopping_patience=2",
    )
    assert len(list(csv.reader((tmp_path / "run" / "history.csv").open()))) == 4


# Four convolutions with bias and layer norm, 1 -> 16 -> 16 -> 16 -> 16 channels, kernels 40, 8, 4, 4.
CNN_PARAMETERS = 16 * 40 + 16 * 16 * (8 + 4 + 4) + 4 * 3 * 16


def trained_parameters(folder):
    found = re.search(r"([\d,]+) of ([\d,]+) parameters are trained", (folder / "run.log").read_text())
    return tuple(int(number.replace(",", "")) for number in found.groups())


def test_freezing_keeps_the_convolutions(data_dir, tmp_path):
    for freeze in ("cnn", "none"):
        run(data_dir, tmp_path / freeze, f"model.freeze={freeze}", "trainer.max_steps=1")
    assert trained_parameters(tmp_path / "none") == (17_496, 17_496)
    assert trained_parameters(tmp_path / "cnn") == (17_496 - CNN_PARAMETERS, 17_496)


def test_tensorboard_is_followed_in_the_run_folder(data_dir, tmp_path):
    run(data_dir, tmp_path / "run", "tracking=tensorboard")
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))


def test_wandb_without_a_login_is_offline_and_asks_nothing(data_dir, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    result = ser(
        "train", *QUICK, "tracking=wandb", f"data_dir='{data_dir}'", f"output_dir='{tmp_path / 'run'}'",
        cwd=tmp_path, env={**environment, "NETRC": str(tmp_path / "none"), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "wandb offline" in result.stderr
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert (tmp_path / "run" / "report.html").is_file()


PIPELINE = """
import csv, json, sys
import soundfile
from transformers import pipeline
classify = pipeline("audio-classification", model=sys.argv[1], top_k=None)
answers = {}
for path in sys.argv[3:]:
    samples, rate = soundfile.read(f"{sys.argv[2]}/{path}", dtype="float32")
    assert rate == 16000
    answers[path] = {row["label"]: row["score"] for row in classify(samples)}
assert "ser" not in sys.modules
print(json.dumps(answers))
"""


def test_the_librarys_pipeline_gives_the_probabilities_of_the_report(finished, corpus_root):
    rows = list(csv.DictReader((finished / "predictions.csv").open()))[::20]
    arguments = [FRESH_PYTHON, "-c", PIPELINE, str(finished / "checkpoint"), str(corpus_root)]
    result = subprocess.run([*arguments, *(row["path"] for row in rows)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    answers = json.loads(result.stdout)
    assert len(answers) == len(rows) > 2
    for row in rows:
        theirs = answers[row["path"]]
        assert [float(row[emotion]) for emotion in theirs] == pytest.approx(list(theirs.values()), abs=1e-5)


def test_a_lora_run_is_resumed_and_ends_in_a_stock_checkpoint(data_dir, tmp_path, monkeypatch):
    few = ("model.lora_rank=2", "trainer.max_steps=4", "trainer.background_checkpoints=true")
    run(data_dir, tmp_path / "whole", *few)
    folder = tmp_path / "interrupted"
    with monkeypatch.context() as patched:
        interrupted_after(2, patched)
        with pytest.raises(KeyboardInterrupt):
            run(data_dir, folder, *few)
    run(data_dir, folder, *few, "resume=true")
    on_the_way = load_file(folder / "checkpoint-4" / "model.safetensors")
    assert not [name for name in on_the_way if "lora" not in name and not name.startswith(HEAD)]
    with pytest.raises(UserError, match="holds the LoRA updates of an unfinished run"):
        checkpoint.open_checkpoint(folder / "checkpoint-4")
    names = load_file(folder / "checkpoint" / "model.safetensors").keys()
    assert names == load_file(tmp_path / "whole" / "checkpoint" / "model.safetensors").keys()
    assert not [name for name in names if "lora" in name or "base_layer" in name]
    assert (folder / "predictions.csv").read_text() == (tmp_path / "whole" / "predictions.csv").read_text()
