import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import composed, write_corpus
from helpers.tiny_runs import run
from helpers.toys import seal

from ser import config
from ser.commands.evaluate import WRITTEN, evaluate, evaluation_folder
from ser.data.preparation import prepare
from ser.data.prepared_corpus import CorpusClips, open_prepared
from ser.errors import UserError
from ser.evaluation.scoring import Scorer
from ser.evaluation.stress import CLEAN, CONDITIONS
from ser.models import checkpoint
from ser.reports import stress


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(data_dir, folder, "protocol=emobox", "protocol.fold=1")
    return folder / "fold1"


@pytest.fixture(scope="module")
def quiet_data_dir(tmp_path_factory):
    """The toy corpus with half a second of silence before and after each tone, prepared."""
    root = write_corpus(tmp_path_factory.mktemp("quiet"), actors=range(1, 9))
    for path in root.rglob("*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, np.pad(samples, rate // 2), rate, subtype="PCM_16")
    folder = tmp_path_factory.mktemp("data") / "ravdess"
    prepare(config.Corpus("ravdess"), composed("train").protocol, str(root), str(folder), config.Audit.warn)
    return folder


def score(model, data_dir, *overrides):
    """Evaluate with the batches of trainer=scratch: other ones may round the last digit in another way."""
    overrides = ("batch_size=16", *overrides)
    evaluate(composed("evaluate", f"checkpoint='{model}'", f"data_dir='{data_dir}'", *overrides))


def test_a_checkpoint_alone_gives_the_answers_of_its_run(finished, data_dir, tmp_path):
    shutil.copytree(finished / "checkpoint", tmp_path / "somewhere")
    score(tmp_path / "somewhere", data_dir)
    alone = tmp_path / "somewhere-evaluation-test"
    assert (alone / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()
    assert (alone / "classification_report.txt").read_text() == (finished / "classification_report.txt").read_text()


def test_a_run_that_was_moved_gives_the_answers_it_gave(finished, data_dir, tmp_path):
    shutil.copytree(finished, tmp_path / "elsewhere" / "renamed")
    shutil.copytree(data_dir, tmp_path / "data")
    score(tmp_path / "elsewhere" / "renamed", tmp_path / "data")
    scored = tmp_path / "elsewhere" / "renamed" / "evaluation-test"
    assert (scored / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()


def test_a_run_in_half_precision_is_scored_in_full_precision_like_its_checkpoint(data_dir, tmp_path):
    run(data_dir, tmp_path / "run", "trainer.precision=bf16", "trainer.max_steps=1")
    score(tmp_path / "run", data_dir, f"output_dir='{tmp_path / 'scored'}'")
    assert (tmp_path / "scored" / "predictions.csv").read_text() == (tmp_path / "run" / "predictions.csv").read_text()


def test_a_run_folder_is_not_overwritten_by_an_evaluation(finished, data_dir):
    before = (finished / "predictions.csv").read_bytes()
    with pytest.raises(UserError, match=r"output_dir=.*: a run is here"):
        score(finished, data_dir, "split=train", f"output_dir='{finished}'")
    assert (finished / "predictions.csv").read_bytes() == before


def test_an_evaluation_leaves_what_else_is_in_its_folder(finished, data_dir, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    for _ in range(2):  # the second time over the first
        score(finished, data_dir, f"output_dir='{tmp_path}'")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", *WRITTEN}


def test_a_batch_of_nothing_is_refused(finished, data_dir):
    with pytest.raises(UserError, match="batch_size=0: it must be at least 1"):
        score(finished, data_dir, "batch_size=0")


def test_an_evaluation_does_not_replace_a_file_of_the_users_own(finished, data_dir, tmp_path):
    (tmp_path / "predictions.csv").write_text("mine")
    with pytest.raises(UserError, match=r"predictions\.csv is here, from no evaluation"):
        score(finished, data_dir, f"output_dir='{tmp_path}'")
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]
    assert (tmp_path / "predictions.csv").read_text() == "mine"


@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_answers_do_not_depend_on_the_batch(batch_size, finished, data_dir, tmp_path):
    score(finished, data_dir, f"batch_size={batch_size}", f"output_dir='{tmp_path / 'scored'}'")
    ours, theirs = (
        [line.split(",")[:3] for line in (folder / "predictions.csv").read_text().splitlines()]
        for folder in (tmp_path / "scored", finished)
    )
    assert ours == theirs


@pytest.mark.parametrize(("side", "clips"), [("test", 64), ("validation", 32), ("train", 288)])
def test_the_split_is_printed_and_reported(side, clips, finished, data_dir, capsys):
    score(finished, data_dir, f"split={side}")
    assert f"scored on the {side} split ({clips} clips" in capsys.readouterr().out
    report = json.loads((finished / f"evaluation-{side}" / "classification_report.json").read_text())
    assert report["scored_on"] == side
    assert report["protocol"]["name"] == "emobox"


def test_a_side_that_the_protocol_lacks_is_refused(finished_run, data_dir):
    with pytest.raises(UserError, match="has no such split; choices: train, test"):
        score(finished_run, data_dir, "split=validation")


def test_data_that_changed_since_training_are_refused(finished, data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    manifest = tmp_path / "data" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",sad,20,", ",calm,20,"))
    seal(tmp_path / "data")
    with pytest.raises(UserError, match=r"the data differ .*test_sha256"):
        score(finished, tmp_path / "data")


def test_labels_that_differ_from_the_corpus_are_refused(finished, data_dir, tmp_path):
    shutil.copytree(finished / "checkpoint", tmp_path / "other")
    path = tmp_path / "other" / "config.json"
    path.write_text(path.read_text().replace('"angry"', '"furious"'))
    with pytest.raises(UserError, match="its labels are furious, calm"):
        score(tmp_path / "other", data_dir)


def write_export(folder):
    folder.mkdir()
    (folder / "ser.json").write_text("{}")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "there is no such folder"),
        (lambda folder: folder.mkdir(), "no config.json"),
        (lambda folder: folder.write_text("x"), "there is no such folder"),
        (write_export, "given: an exported model, for `ser predict` and `ser serve`; give the run it was made of"),
    ],
)
def test_what_is_no_checkpoint_is_named(make, message, data_dir, tmp_path):
    make(tmp_path / "given")
    with pytest.raises(UserError, match=message):
        score(tmp_path / "given", data_dir)
    assert not (tmp_path / "given-evaluation-test").exists()


def test_a_checkpoint_of_trimmed_clips_is_scored_on_trimmed_clips(quiet_data_dir, tmp_path):
    folders = {}
    for trim in ("true", "false"):
        folders[trim] = tmp_path / trim
        run(quiet_data_dir, folders[trim], f"audio.trim={trim}", "trainer.max_steps=1")
        score(folders[trim], quiet_data_dir, f"output_dir='{tmp_path / 'scored'}'", "batch_size=16")
        for name in ("predictions.csv", "classification_report.txt"):
            assert (tmp_path / "scored" / name).read_text() == (folders[trim] / name).read_text()
        said = "silence before and after the speech of each clip is cut off" in (tmp_path / "scored" / name).read_text()
        assert said == (trim == "true")
    answers = [(folder / "predictions.csv").read_text() for folder in folders.values()]
    assert answers[0] != answers[1]


def test_a_checkpoint_from_before_there_was_trimming_is_scored_on_whole_clips(finished, data_dir, tmp_path):
    shutil.copytree(finished / "checkpoint", tmp_path / "old")
    settings = json.loads((tmp_path / "old" / "config.json").read_text())
    assert settings["ser"].pop("audio") == {"trim": False}
    (tmp_path / "old" / "config.json").write_text(json.dumps(settings))
    score(tmp_path / "old", data_dir, f"output_dir='{tmp_path / 'scored'}'")
    assert (tmp_path / "scored" / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()


def stress_table(folder):
    return pd.read_csv(folder / "stress.csv").set_index("condition")


def test_degraded_clips_are_scored_beside_the_clean_ones(finished, data_dir, tmp_path, capsys):
    score(finished, data_dir, "stress=true", f"output_dir='{tmp_path}'")
    table = stress_table(tmp_path)
    assert list(table.index) == [CLEAN, *CONDITIONS]
    assert set(table["clips"]) == {64}
    assert set(table["protocol"]) == {"emobox"}
    report = json.loads((tmp_path / "classification_report.json").read_text())
    assert table["unweighted_average_recall"][CLEAN] == report["unweighted_average_recall"]
    assert [table["interval_low"][CLEAN], table["interval_high"][CLEAN]] == (
        report["intervals"]["unweighted_average_recall"]
    )
    assert (table["change"] == table["unweighted_average_recall"] - table["unweighted_average_recall"][CLEAN]).all()
    assert "MP3 at 32 kbit/s" in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    assert 'id="stress"' in page
    assert all(condition.text.split(",")[0] in page for condition in CONDITIONS.values())
    assert (tmp_path / "predictions.csv").read_text() == (finished / "predictions.csv").read_text()


def test_an_evaluation_without_degraded_clips_leaves_no_table_of_an_earlier_one(finished, data_dir, tmp_path):
    score(finished, data_dir, "stress=true", f"output_dir='{tmp_path}'")
    assert {path.name for path in tmp_path.iterdir()} == {*WRITTEN, *stress.FILES}
    score(finished, data_dir, f"output_dir='{tmp_path}'")
    assert {path.name for path in tmp_path.iterdir()} == {*WRITTEN}
    assert 'id="stress"' not in (tmp_path / "report.html").read_text()


def test_clips_outside_the_cache_are_trimmed_as_those_inside(quiet_data_dir, tmp_path):
    run(quiet_data_dir, tmp_path / "run", "audio.trim=true", "trainer.max_steps=1")
    prepared = open_prepared(str(quiet_data_dir), config.Corpus("ravdess"))
    classifier, extractor = checkpoint.load(tmp_path / "run" / "checkpoint", prepared.emotions)
    rows = prepared.utterances[:20]
    trimmed, whole = (Scorer.from_classifier(classifier, extractor, trim, batch_size=4) for trim in (True, False))
    expected = trimmed.predict(prepared, rows).probabilities
    assert trimmed.predict_clips(CorpusClips(prepared, rows)) == pytest.approx(expected, abs=1e-6)
    assert whole.predict_clips(CorpusClips(prepared, rows)) != pytest.approx(expected, abs=1e-4)


def test_ensembles_of_folders_with_equal_names_have_reports_of_their_own(tmp_path):
    runs = [tmp_path / place / "fold1" for place in ("a/one", "b/one", "b/two")]
    for run_folder in runs:
        run_folder.mkdir(parents=True)
    folders = [evaluation_folder(composed("evaluate", f"checkpoint=['{first}','{runs[2]}']")) for first in runs[:2]]
    assert [folder.name.rpartition("-")[0] for folder in folders] == ["one-fold1+two-fold1-test"] * 2
    assert folders[0] != folders[1]


def test_without_the_prepared_corpus_the_error_says_how_it_is_given(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^data/ravdess: the prepared corpus .* data_dir=FOLDER, .* corpus=ravdess$"):
        evaluate(composed("evaluate", f"checkpoint='{finished}'"))
