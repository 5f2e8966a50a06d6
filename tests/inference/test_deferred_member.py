import numpy as np
import pytest
from helpers.toys import clips, configured, saved

from ser.config import Ensemble
from ser.errors import UserError
from ser.inference.deferred_member import DeferredMember, defer_checkpoints, defer_member
from ser.inference.member import open_member
from ser.inference.onnx_member import OnnxMember


@pytest.mark.parametrize("problem", [None, "multi_label_classification"])
def test_the_config_describes_a_checkpoint_as_the_loaded_one_and_it_predicts_the_same(problem, tmp_path):
    folder = configured(saved(tmp_path / "toy"), problem_type=problem)
    deferred, opened = defer_member(str(folder)), open_member(str(folder))
    assert "loaded" not in vars(deferred)
    described = [(one.name, one.folder, one.trim, one.outputs, one.stamp) for one in (deferred, opened)]
    assert described[0] == described[1]
    assert np.array_equal(deferred.predict(clips(0.5, 0.7), 2), opened.predict(clips(0.5, 0.7), 2))


def test_a_stamped_checkpoint_keeps_its_stamp(exported_run):
    deferred, opened = (make(str(exported_run / "fold1")) for make in (defer_member, open_member))
    assert deferred.stamp["corpus"] == "ravdess"
    assert (deferred.stamp, deferred.trim, deferred.outputs) == (opened.stamp, opened.trim, opened.outputs)


def test_the_server_predicts_at_its_temperature(tmp_path):
    folder = str(saved(tmp_path / "toy"))
    plain, softened = (defer_checkpoints([folder], Ensemble.mean, 4, given).predict(clips(0.5)) for given in (1.0, 3.0))
    assert max(softened[0].probabilities.values()) < max(plain[0].probabilities.values())


def test_an_exported_model_is_opened_at_once(exported_run):
    assert isinstance(defer_member(str(exported_run / "fold1" / "onnx")), OnnxMember)


def test_a_config_that_transformers_completes_is_read_by_it(tmp_path):
    folder = configured(saved(tmp_path / "toy", labels=("LABEL_0", "LABEL_1")), id2label=None)
    member = defer_member(str(folder))
    assert not isinstance(member, DeferredMember)
    assert member.labels == ["LABEL_0", "LABEL_1"]


@pytest.mark.parametrize("problem", ["regression", "labels", "weights"])
def test_what_the_config_and_the_files_show_is_refused_without_loading(problem, tmp_path):
    folder = saved(tmp_path / "toy")
    if problem == "weights":
        (folder / "model.safetensors").unlink()
    else:
        configured(folder, **({"problem_type": problem} if problem == "regression" else {"id2label": {"0": "one"}}))
    with pytest.raises(UserError) as expected:
        open_member(str(folder))
    with pytest.raises(UserError) as error:
        defer_member(str(folder))
    assert str(error.value) == str(expected.value)


def test_a_config_that_changes_before_it_is_loaded_is_refused(tmp_path):
    folder = saved(tmp_path / "toy", labels=("up", "down"))
    deferred = defer_member(str(folder))
    configured(folder, id2label={"0": "down", "1": "up"})
    with pytest.raises(UserError, match="its config was changed while it was loaded"):
        deferred.load()


def test_checkpoints_of_other_labels_or_given_twice_are_refused_without_loading(tmp_path):
    one, other = (saved(tmp_path / name, labels=labels) for name, labels in (("a", ("x", "y")), ("b", ("x", "z"))))
    with pytest.raises(UserError, match="they cannot predict together"):
        defer_checkpoints([str(one), str(other)], Ensemble.mean, 4)
    with pytest.raises(UserError, match="give each once"):
        defer_checkpoints([str(one), f"{one}/"], Ensemble.mean, 4)
