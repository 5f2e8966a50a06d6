import json
import shutil

import pytest
from conftest import composed
from helpers.toys import seal

from ser import extras
from ser.commands import export as command
from ser.commands.export import export
from ser.errors import UserError


@pytest.fixture(scope="module")
def finished(exported_run):
    return exported_run / "fold1"


@pytest.fixture
def alone(finished, tmp_path):
    """The checkpoint without its run."""
    shutil.copytree(finished / "checkpoint", tmp_path / "model")
    return tmp_path / "model"


def make(checkpoint, *overrides):
    export(composed("export", f"checkpoint='{checkpoint}'", *overrides))


@pytest.fixture(scope="module")
def exported(exported_run):
    """The folder of an export of the run, and what the command printed."""
    return exported_run / "fold1" / "onnx", (exported_run / "printed.txt").read_text()


def test_every_form_of_the_model_is_scored_on_the_test_list_of_the_checkpoint(finished, exported):
    folder, out = exported
    written = {"model.onnx", "model.int8.onnx", "ser.json", "export.json", "predict.py", "trim.py", "model_inputs.py"}
    assert {path.name for path in folder.iterdir()} == written
    measured = json.loads((folder / "export.json").read_text())
    reported = json.loads((finished / "classification_report.json").read_text())
    original, exported, quantized = measured["forms"]
    assert original["accuracy"] == exported["accuracy"] == reported["accuracy"]
    assert 0 <= quantized["accuracy"] <= 1
    assert measured["provenance"]["protocol"]["name"] == "emobox"
    assert json.loads((folder / "ser.json").read_text())["model"] == "model.int8.onnx"
    assert "…" not in out
    assert out.count(f"{100 * reported['accuracy']:.1f} %") >= 2
    assert "scored on the test split (64 clips" in out
    assert out.rstrip().endswith(str(folder))


def test_without_the_data_the_accuracy_is_reported_as_unmeasured(
    alone, exported, tmp_path, monkeypatch, caplog, capsys
):
    monkeypatch.chdir(tmp_path)
    # PyTorch's part, which takes longest, has been done for this checkpoint.
    monkeypatch.setattr(
        command.onnx, "write_model", lambda *arguments: shutil.copyfile(exported[0] / "model.onnx", arguments[-1])
    )
    monkeypatch.setattr("ser.console.start_logging", lambda: None)  # which would keep the lines from caplog
    make(alone)
    assert "accuracy: not measured, there is no data/ravdess/manifest.csv; give data_dir=FOLDER" in caplog.text
    assert "%" not in capsys.readouterr().out
    measured = json.loads((tmp_path / "model-onnx" / "export.json").read_text())
    assert [form["accuracy"] for form in measured["forms"]] == [None, None]
    assert measured["provenance"] is None


def test_data_that_are_others_than_those_of_training_are_refused_before_anything_is_written(alone, data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    manifest = tmp_path / "data" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",sad,20,", ",calm,20,"))
    seal(tmp_path / "data")
    with pytest.raises(UserError, match="the data differ"):
        make(alone, f"data_dir='{tmp_path / 'data'}'")
    assert not (tmp_path / "model-onnx").exists()


def test_a_model_that_predicts_otherwise_is_refused_and_nothing_is_left(alone, exported, tmp_path, monkeypatch):
    import onnx

    def write_a_little_off(classifier, example, path):
        model = onnx.load(exported[0] / "model.onnx")
        (bias,) = (tensor for tensor in model.graph.initializer if tensor.name.endswith("classifier.bias"))
        values = onnx.numpy_helper.to_array(bias).copy()
        values[0] += 2e-3
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        onnx.save(model, path)

    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(command.onnx, "write_model", write_a_little_off)
    with pytest.raises(UserError, match=r"differs from its checkpoint by 2\.0e-03 in logits .* nothing was written$"):
        make(alone, "score=false")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_only_an_export_is_replaced(alone, tmp_path):
    target = tmp_path / "model-onnx"
    target.mkdir()
    (target / "mine.txt").write_text("x")
    with pytest.raises(UserError, match=f"output_dir={target}: something else than an export is here"):
        make(alone, "score=false")
    (target / command.MEASUREMENTS).touch()
    with pytest.raises(UserError, match=r"something else than an export is here \(mine.txt\)"):
        make(alone, "score=false")  # an export to which the user has added a file
    (target / "mine.txt").unlink()
    command.check_free(target)
    assert command.output_folder(composed("export", f"checkpoint='{alone}'"), alone) == target


def test_a_batch_of_nothing_is_refused(alone):
    with pytest.raises(UserError, match="batch_size=0: it must be at least 1"):
        make(alone, "batch_size=0")


def test_a_file_is_not_replaced_by_an_export(alone, tmp_path):
    (tmp_path / "onnx").write_text("mine")
    with pytest.raises(UserError, match="a file is here"):
        make(alone, f"output_dir='{tmp_path / 'onnx'}'", "score=false")
    assert (tmp_path / "onnx").read_text() == "mine"


def test_a_repository_of_the_hub_is_exported_to_the_current_folder(tmp_path):
    cfg = composed("export", "checkpoint=organisation/name")
    assert str(command.output_folder(cfg, tmp_path / "hub" / "snapshots" / "0123")) == "name-onnx"


def test_without_the_extra_the_command_states_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'needs onnx, onnxruntime, onnxscript: pip install "ser-finetune\[export\]"'):
        make(tmp_path / "nowhere")
