import json
import shutil

import pytest

from ser.errors import UserError
from ser.models.hub import find_checkpoint
from ser.publish import repository


@pytest.fixture
def folder(finished_run, tmp_path):
    """A run of one's own, in the home of somebody."""
    return shutil.copytree(finished_run, tmp_path / "home" / "anna" / "run")


def packed(folder):
    checkpoint = find_checkpoint(str(folder))
    return repository.collect_files(repository.read_finished_run(checkpoint), checkpoint, "anna/model")


def change(path, function):
    content = json.loads(path.read_text())
    function(content)
    path.write_text(json.dumps(content))


def test_the_model_its_card_and_its_measurements_are_sent_and_nothing_else(folder):
    (folder / "checkpoint" / "training_args.bin").write_bytes(b"optimizer")
    assert packed(folder).keys() == {
        "README.md", "config.json", "preprocessor_config.json", "model.safetensors", "confusion_matrix.png",
        "classification_report.json",
    }  # fmt: skip


def test_the_code_of_a_class_of_ours_goes_along(folder):
    change(folder / "checkpoint" / "config.json", lambda c: c.update(auto_map={"AutoModel": "heads.Own"}))
    (folder / "checkpoint" / "heads.py").write_text("class Own: ...")
    sent = packed(folder)
    assert sent["heads.py"] == folder / "checkpoint" / "heads.py"
    assert b"trust_remote_code=True" in sent["README.md"]


def test_what_holds_no_local_folder_is_sent_as_it_is(folder):
    sent = packed(folder)
    assert sent["classification_report.json"] == (folder / "classification_report.json").read_bytes()
    assert sent["config.json"] == (folder / "checkpoint" / "config.json").read_bytes()


@pytest.mark.parametrize("place", ["/home/anna/encoder", "~/encoder", "../anna/encoder", "in/home/of/anna/encoder"])
def test_nothing_that_is_sent_names_a_local_folder(place, folder):
    def changed(settings):
        settings["ser"]["pretrained"] = place
        settings["ser"]["protocol"]["folds_csv"] = str(folder / "folds.csv")
        settings["_name_or_path"] = str(folder / "checkpoint-1")

    change(folder / "checkpoint" / "config.json", changed)
    change(folder / "environment.json", lambda used: used.update(command=f"ser train root={folder} a=/home/anna/b"))
    sent = packed(folder)
    texts = {name: content.decode() for name, content in sent.items() if isinstance(content, bytes)}
    texts["preprocessor_config.json"] = sent["preprocessor_config.json"].read_text()
    for text in texts.values():
        assert "/home" not in text
        assert str(folder.parent) not in text
    stamp = json.loads(texts["config.json"])["ser"]
    assert (stamp["pretrained"], stamp["protocol"]["folds_csv"]) == ("encoder", "folds.csv")


def test_a_dry_run_writes_exactly_the_parcel_and_leaves_other_files_alone(folder, tmp_path):
    sent, target = packed(folder), tmp_path / "push"
    repository.write_files(target, sent)
    (target / "README.md").write_text("changed")
    repository.write_files(target, sent)  # again, over what is there
    assert {path.name for path in target.iterdir()} == sent.keys()
    for name, content in sent.items():
        assert (target / name).read_bytes() == (content if isinstance(content, bytes) else content.read_bytes())
    (target / "thesis.docx").write_text("")
    with pytest.raises(UserError, match=r"it holds thesis\.docx, which would not be pushed; give another output_dir"):
        repository.write_files(target, sent)


def test_a_dry_run_does_not_replace_a_file_of_the_users_own(folder, tmp_path):
    target = tmp_path / "push"
    target.mkdir()
    (target / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"README\.md is here and would be replaced"):
        repository.write_files(target, packed(folder))
    assert (target / "README.md").read_text() == "mine"


def test_a_checkpoint_without_a_finished_run_is_refused(folder, tmp_path):
    alone = shutil.copytree(folder / "checkpoint", tmp_path / "alone")
    with pytest.raises(UserError, match="alone: no finished run, so no number stands behind it; give a run folder"):
        packed(alone)
    (folder / "environment.json").unlink()
    with pytest.raises(UserError, match=r"no environment\.json here: it is not the folder of a finished run"):
        packed(folder)


def test_a_checkpoint_for_resuming_does_not_get_the_number_of_the_best(folder):
    with pytest.raises(UserError, match="checkpoint-1: no finished run"):
        packed(next(folder.glob("checkpoint-*")))


def test_a_report_about_another_checkpoint_is_refused(folder):
    change(folder / "checkpoint" / "config.json", lambda settings: settings["ser"].update(step=7))
    with pytest.raises(UserError, match="the report beside it is about another checkpoint"):
        packed(folder)


def test_of_several_runs_one_is_to_be_chosen(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "runs" / "fold1")
    shutil.copytree(folder, tmp_path / "runs" / "fold2")
    with pytest.raises(UserError, match="it holds several runs; choices: fold1, fold2 below it"):
        packed(tmp_path / "runs")
