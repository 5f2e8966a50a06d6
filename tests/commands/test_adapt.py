"""ser adapt: a checkpoint for one voice, from a few of its recordings."""

import csv
import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile
from conftest import composed, tone
from safetensors.torch import load_file

from ser.commands.adapt import adapt
from ser.commands.evaluate import evaluate
from ser.errors import UserError
from ser.inference import adaptation
from ser.inference.checkpoint_member import CheckpointMember
from ser.models.adaptation import TEMPERATURE

EMOTIONS = ("angry", "calm", "sad")


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    shutil.copytree(finished_run, folder)
    return folder


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """Three clips for each of three emotions, told apart by their pitch."""
    root = tmp_path_factory.mktemp("voice") / "anna"
    for number, emotion in enumerate(EMOTIONS):
        (root / emotion).mkdir(parents=True)
        for take in range(3):
            samples = tone(0.4 + 0.05 * take, frequency=150 * 3**number + take)
            soundfile.write(root / emotion / f"{take}.wav", samples, 16000, subtype="PCM_16")
    return root


def adapted(run, voice, folder, *overrides):
    adapt(composed("adapt", f"checkpoint='{run}'", f"audio='{voice}'", f"output_dir='{folder}'", *overrides))
    return folder


def clips_of(voice):
    paths = sorted(voice.rglob("*.wav"))
    return [soundfile.read(path, dtype="int16")[0] for path in paths], [path.parent.name for path in paths]


def changed_tensors(run, folder):
    before, after = (load_file(place / "model.safetensors") for place in (run / "checkpoint", folder))
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name])}


def test_labelled_clips_train_the_last_layer_alone(run, voice, tmp_path, capsys):
    folder = adapted(run, voice, tmp_path / "anna")
    printed, log = capsys.readouterr()
    assert printed.strip() == str(folder)
    assert changed_tensors(run, folder) == {"classifier.weight", "classifier.bias"}
    clips, labels = clips_of(voice)

    def accuracy(place):
        member = CheckpointMember.from_checkpoint(str(place))
        return np.mean(
            [member.labels[row.argmax()] == label for row, label in zip(member.predict(clips, 8), labels, strict=True)]
        )

    before, after = accuracy(run), accuracy(folder)
    assert after > before
    said = " ".join(log.split())
    assert f"(3 angry, 3 calm, 3 sad): {100 * before:.0f} % of them were predicted right before; each of them" in said
    assert re.search(r"predicted after an adaptation to the others alone, \d+ % are right", said)


def test_without_labels_predictions_get_as_frequent_as_expected(run, voice, tmp_path):
    folder = adapted(run, voice, tmp_path / "anna", "labelled=false", "prior={angry: 0.7, sad: 0.3}")
    tensors = [load_file(place / "model.safetensors") for place in (run / "checkpoint", folder)]
    np.testing.assert_allclose(
        tensors[1]["classifier.weight"], tensors[0]["classifier.weight"] / TEMPERATURE, rtol=1e-5
    )
    clips, _ = clips_of(voice)
    shares = [CheckpointMember.from_checkpoint(str(place)).predict(clips, 8).mean(axis=0) for place in (run, folder)]
    labels = CheckpointMember.from_checkpoint(str(folder)).labels
    expected = np.array([{"angry": 0.7, "sad": 0.3}.get(label, 0.0) for label in labels])
    distances = [np.abs(share - expected).sum() for share in shares]
    assert distances[1] < 0.2 * distances[0]


def test_without_labels_the_largest_changes_in_the_predicted_emotions_are_named(run, voice, tmp_path, capsys):
    folder = adapted(run, voice, tmp_path / "anna", "labelled=false", "prior={angry: 0.9, sad: 0.1}")
    said = " ".join(capsys.readouterr().err.split())
    members = [CheckpointMember.from_checkpoint(str(place)) for place in (run, folder)]
    before, after = (Counter(m.labels[row.argmax()] for row in m.predict(clips_of(voice)[0], 8)) for m in members)
    named = re.findall(
        r"(\w+) (\d+) \((\d+) before\)", said.partition("recordings without labels: of them predicted as")[2]
    )
    assert all((int(now), int(was)) == (after[name], before[name]) for name, now, was in named)
    changes = sorted((abs(after[name] - before[name]) for name in after | before), reverse=True)
    assert [abs(int(now) - int(was)) for _, now, was in named] == [change for change in changes if change][:3]
    assert named


def test_that_no_prediction_changed_is_said():
    same = adaptation.Adaptation(None, {}, None, ([3, 1], [3, 1]))
    assert adaptation.describe_changes(same, EMOTIONS[:2]) == "how often each emotion is predicted has not changed"


def test_a_table_labels_recordings_and_a_batch_changes_nothing(run, voice, tmp_path):
    rows = [(str(path.relative_to(voice)), path.parent.name) for path in sorted(voice.rglob("*.wav"))]
    with (voice / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "emotion"), *rows])
    table = adapted(run, voice / "clips.csv", tmp_path / "table", "batch_size=1")
    folders = adapted(run, voice, tmp_path / "folders")
    ours, theirs = (load_file(place / "model.safetensors") for place in (table, folders))
    np.testing.assert_allclose(ours["classifier.weight"], theirs["classifier.weight"], atol=1e-4)
    stamps = [json.loads((place / "config.json").read_text())["ser"]["adapted"] for place in (table, folders)]
    assert stamps[0] == stamps[1]
    assert (stamps[0]["clips"], stamps[0]["labelled"]) == (9, True)


def test_a_clip_that_was_adapted_to_is_not_scored(finished_run, data_dir, corpus_root, tmp_path):
    with (finished_run / "test.csv").open() as file:
        tested = list(csv.DictReader(file))
    some = tmp_path / "some.csv"
    with some.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "emotion"), *((row["path"], row["emotion"]) for row in tested[:5])])
    folder = adapted(finished_run, some, tmp_path / "adapted", f"root='{corpus_root}'")
    evaluate(
        composed("evaluate", f"checkpoint='{folder}'", f"data_dir='{data_dir}'", f"output_dir='{tmp_path}/scored'")
    )
    with (tmp_path / "scored" / "predictions.csv").open() as file:
        scored = {row["path"] for row in csv.DictReader(file)}
    assert scored == {row["path"] for row in tested[5:]}
    report = json.loads((tmp_path / "scored" / "classification_report.json").read_text())
    assert "adapted to 5 labelled clips of one voice, which are not scored" in report["in_words"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("labelled=true",), "not every recording"),
        (("prior={angry: 0.5}",), "give a share of 1 for each emotion"),
        (("prior={bored: 1.0}",), "prior.bored: the checkpoint has no such emotion"),
    ],
)
def test_what_cannot_be_adapted_to_is_one_line_and_writes_nothing(run, voice, tmp_path, overrides, message):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(voice.rglob("*.wav"))):
        shutil.copy(path, flat / f"{number}.wav")
    with pytest.raises(UserError, match=message):
        adapted(run, flat, tmp_path / "anna", *overrides)
    assert not (tmp_path / "anna").exists()


def test_what_is_there_is_replaced_only_if_it_is_an_adapted_checkpoint_and_on_request(run, voice, tmp_path):
    folder = adapted(run, voice, tmp_path / "anna")
    with pytest.raises(UserError, match="overwrite=true replaces it"):
        adapted(run, voice, folder)
    adapted(run, voice, folder, "overwrite=true")
    with pytest.raises(UserError, match="give the one that it was made from"):
        adapted(folder, voice, tmp_path / "twice")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="something else than an adapted checkpoint"):
        adapted(run, voice, tmp_path / "mine", "overwrite=true")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
