from types import SimpleNamespace

import pytest
from helpers.toys import saved

from ser.inference import blocks
from ser.inference.blocks import recordings_at_once
from ser.inference.member import open_member


def test_a_small_model_predicts_more_recordings_together(tmp_path, monkeypatch):
    member = open_member(str(saved(tmp_path / "toy")))
    one, two = SimpleNamespace(members=[member]), SimpleNamespace(members=[member, member])
    monkeypatch.setattr(blocks, "SMALL", 1.5 * member.weights_size())
    assert recordings_at_once(one) > recordings_at_once(two)


@pytest.mark.parametrize("file", ["model.onnx", "model.int8.onnx"])
def test_the_weights_of_an_exported_model_are_those_of_its_own_file(file, exported_run):
    folder = exported_run / "fold1" / "onnx"
    assert open_member(str(folder / file)).weights_size() == (folder / file).stat().st_size


def test_the_weights_of_a_checkpoint_are_its_safetensors(tmp_path):
    folder = saved(tmp_path / "toy")
    assert open_member(str(folder)).weights_size() == (folder / "model.safetensors").stat().st_size
