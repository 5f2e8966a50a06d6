"""Prediction with an exported model, without PyTorch."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
from conftest import composed, tone

from ser.commands.predict import predict
from ser.config import Ensemble
from ser.errors import UserError
from ser.inference.journal import fingerprint
from ser.inference.member import open_member
from ser.inference.predictor import Predictor


@pytest.fixture(scope="module")
def exported(exported_run):
    return exported_run / "fold1" / "onnx"


@pytest.fixture
def copied(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "onnx")
    return tmp_path / "onnx"


@pytest.fixture(scope="module")
def clips():
    return [(32000 * tone(seconds, frequency=frequency)).astype(np.int16) for seconds, frequency in
            ((0.5, 200), (0.9, 400), (0.5, 150), (0.07, 300), (1.4, 800))]  # fmt: skip


def test_an_exported_model_predicts_as_its_checkpoint_in_batches_and_alone(exported, exported_run, clips):
    ours = open_member(str(exported / "model.onnx"))
    theirs = open_member(str(exported_run / "fold1"))
    assert ours.labels == theirs.labels
    assert ours.stamp == theirs.stamp
    expected = theirs.predict(clips, 8)
    np.testing.assert_allclose(ours.predict(clips, 8), expected, atol=1e-5)
    np.testing.assert_allclose(ours.predict(clips, 1), expected, atol=1e-5)


def test_the_folder_stands_for_the_model_that_its_description_names(exported, clips):
    assert json.loads((exported / "ser.json").read_text())["model"] == "model.int8.onnx"
    whole, small = open_member(str(exported)), open_member(str(exported / "model.int8.onnx"))
    assert np.array_equal(whole.predict(clips, 4), small.predict(clips, 4))


def test_it_predicts_together_with_checkpoints(exported, exported_run, clips):
    given = [str(exported / "model.onnx"), str(exported_run / "fold1")]
    together = Predictor.from_checkpoints(given, Ensemble.mean, 4).predict(clips)
    alone = Predictor.from_checkpoints(given[1:], Ensemble.mean, 4).predict(clips)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.as_array(), other.as_array(), atol=1e-5)


def test_the_command_writes_the_predictions_of_the_checkpoint(exported, exported_run, clips, tmp_path):
    soundfile.write(tmp_path / "clip.wav", clips[1], 16000)
    tables = []
    for number, checkpoint in enumerate((exported / "model.onnx", exported_run / "fold1")):
        output = tmp_path / f"{number}.csv"
        predict(composed("predict", f"checkpoint='{checkpoint}'", f"audio='{tmp_path}/clip.wav'", f"output='{output}'"))
        with output.open() as file:
            tables.append(list(csv.DictReader(file)))
    (ours,), (theirs,) = tables
    assert (ours["path"], ours["emotion"]) == (theirs["path"], theirs["emotion"])
    for label in ("angry", "sad"):
        assert float(ours[label]) == pytest.approx(float(theirs[label]), abs=1e-4)


def test_a_changed_model_has_another_fingerprint(copied, exported):
    assert fingerprint(copied) == fingerprint(exported)
    (copied / "model.int8.onnx").write_bytes(b"another")
    assert fingerprint(copied) != fingerprint(exported)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.pop("labels"), "does not describe a model of this release"),
        (lambda about: about.update(model="../model.onnx"), "does not describe a model of this release"),
        (lambda about: about.update(prepare="pickle"), "does not describe a model of this release"),
        (lambda about: about.update(model="gone.onnx"), "onnxruntime cannot read it"),
    ],
)
def test_a_description_that_cannot_be_used_is_one_line(copied, change, message):
    about = json.loads((copied / "ser.json").read_text())
    change(about)
    (copied / "ser.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=message):
        open_member(str(copied))


def test_damaged_files_are_one_line(copied):
    (copied / "model.int8.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="onnxruntime cannot read it"):
        open_member(str(copied))
    (copied / "ser.json").write_text("{")
    with pytest.raises(UserError, match="it is damaged"):
        open_member(str(copied))


def test_embeddings_need_the_checkpoint(exported, clips):
    with pytest.raises(UserError, match="give the run itself"):
        open_member(str(exported)).embed(clips, 4, frames=False)
