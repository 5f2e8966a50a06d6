from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.toys import clips, configured, saved
from transformers import PretrainedConfig, Wav2Vec2Model, pipeline

from ser.config import Ensemble
from ser.errors import UserError
from ser.inference.predictor import Predictor
from ser.models import checkpoint
from ser.models.outputs import read_outputs, sigmoid

LABELS = ("arousal", "dominance", "valence")


def predictor(*folders):
    return Predictor.from_checkpoints([str(folder) for folder in folders], Ensemble.mean, 4)


@pytest.mark.parametrize("problem", [None, "single_label_classification", "multi_label_classification"])
def test_the_probabilities_of_a_head_are_those_of_the_librarys_pipeline(problem, tmp_path):
    folder = configured(saved(tmp_path / "toy", labels=LABELS), problem_type=problem)
    (clip,) = clips(0.8)
    # Older releases of transformers need the order; newer ones do this for such a head by themselves.
    order = {"function_to_apply": "sigmoid"} if problem == "multi_label_classification" else {}
    rows = pipeline("audio-classification", str(folder))(clip / 32768, **order)
    theirs = {row["label"]: row["score"] for row in rows}
    ours = predictor(folder).predict([clip])[0].as_array()
    assert ours.tolist() == pytest.approx([theirs[label] for label in LABELS], abs=1e-5)
    assert (abs(ours.sum() - 1) < 1e-6) == (problem != "multi_label_classification")


def test_a_regression_head_is_refused_since_its_outputs_are_no_probabilities(tmp_path):
    folder = configured(saved(tmp_path / "toy", labels=LABELS), problem_type="regression")
    with pytest.raises(UserError, match=r"regression head \(arousal, dominance, valence\): its outputs are values"):
        checkpoint.open_checkpoint(folder)


def test_a_head_that_ser_trained_is_a_softmax_whatever_the_encoder_was_for(tmp_path):
    folder = configured(saved(tmp_path / "toy", labels=LABELS, trim=False), problem_type="regression")
    assert predictor(folder).predict(clips(0.5))[0].as_array().sum() == pytest.approx(1)


def test_a_new_head_does_not_keep_the_problem_of_its_encoder(tmp_path):
    folder = configured(saved(tmp_path / "toy", labels=LABELS), problem_type="regression")
    model = replace(
        composed("train", "model=tiny").model, pretrained=str(folder), encoder_config={}, classifier_proj_size=16
    )
    classifier, _ = checkpoint.build(model, ("up", "down"))
    assert classifier.config.problem_type == "single_label_classification"


def test_an_encoder_without_a_head_is_refused(tmp_path):
    folder = saved(tmp_path / "toy")
    Wav2Vec2Model.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(UserError, match="no trained head"):
        checkpoint.open_checkpoint(folder)


@pytest.mark.parametrize(
    ("id2label", "message"),
    [
        ({0: "up", 2: "down"}, "does not number the labels"),
        ({0: "up", 1: "up"}, "each once"),
        ({0: "up", 1: " "}, "printable names"),
        ({0: "up", 1: "do\nwn"}, "printable names"),
        ({0: "up"}, "one label .up. always"),
    ],
)
def test_labels_that_do_not_tell_the_outputs_apart_are_refused_in_a_line(id2label, message):
    with pytest.raises(UserError, match=message) as error:
        read_outputs(PretrainedConfig(id2label=id2label), "toy", {})
    assert "\n" not in str(error.value)


def test_a_single_output_of_a_multi_label_head_is_a_probability():
    settings = PretrainedConfig(id2label={0: "angry"}, problem_type="multi_label_classification")
    assert read_outputs(settings, "toy", {}).probabilities(np.zeros((1, 1), dtype=np.float32)).tolist() == [[0.5]]


def test_the_sigmoid_is_that_of_torch_and_does_not_overflow():
    logits = np.array([[-1e4, -3.0, 0.0, 2.0, 1e4]], dtype=np.float32)
    assert np.allclose(sigmoid(logits), torch.tensor(logits).double().sigmoid().numpy())


def test_heads_of_other_kinds_do_not_answer_together(tmp_path):
    softmax = saved(tmp_path / "a", labels=LABELS)
    other = configured(saved(tmp_path / "b", labels=LABELS), problem_type="multi_label_classification")
    with pytest.raises(UserError, match=r"sigmoid.*softmax|softmax.*sigmoid"):
        predictor(softmax, other)
