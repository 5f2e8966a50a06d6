import csv
import json
import shutil
from dataclasses import replace

import pytest
from conftest import composed
from helpers.own_corpora import prepare_folders
from helpers.tiny_runs import QUICK
from PIL import Image

from ser.commands.cross_corpus import cross_corpus
from ser.commands.evaluate import evaluate
from ser.comparison.blocks import group_runs
from ser.comparison.cross_corpus import fill, heat_map
from ser.config import Split
from ser.errors import UserError
from ser.reports.figures import save
from ser.runs import finished, reading

STEPS = ("trainer.max_steps=2", "trainer.eval_steps=2", "trainer.save_steps=2", "protocol.folds=2")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Two prepared corpora that share two emotions, and the table of both."""
    base = tmp_path_factory.mktemp("crossed")
    prepare_folders(base, "one", emotions=("angry", "happy", "sad"), speakers=("a", "b", "c", "d", "e", "f"))
    prepare_folders(
        base, "two", emotions=("angry", "neutral", "sad"), speakers=("u", "v", "w", "x", "y", "z"), rate=22050
    )
    cross_corpus(config_of(base))
    return base


def config_of(base, *overrides):
    cfg = composed(
        "cross_corpus", *QUICK, *STEPS, f"data_dir='{base / 'both'}'", f"output_dir='{base / 'table'}'", *overrides
    )
    return replace(cfg, corpus=replace(cfg.corpus, name="both", parts=["one", "two"]))


def test_one_command_fills_the_table_of_all_pairs(base):
    rows = list(csv.DictReader((base / "table" / "cross_corpus.csv").open()))
    assert [(row["trained_on"], row["tested_on"]) for row in rows] == [
        ("one", "one"), ("one", "two"), ("two", "one"), ("two", "two"),
    ]  # fmt: skip
    assert {row["clips"] for row in rows} == {"24"}
    assert {row["units"] for row in rows} == {"6"}
    assert (base / "table" / "cross_corpus.png").stat().st_size
    page = (base / "table" / "cross_corpus.html").read_text()
    assert "One corpus against another" in page
    assert "On the diagonal folds of one corpus are tested" in page
    assert "Speaker-independent" in page


def test_within_a_corpus_no_speaker_and_no_other_corpus_is_trained_on(base):
    for name in ("one", "two"):
        run = finished.read(base / "table" / f"within-{name}")
        assert run.report["speakers_are_new"]
        assert {row.corpus for row in run.predictions.utterances} == {name}


def test_each_block_names_the_labels_that_were_left_out_of_its_own_corpora(base):
    words = (base / "table" / "cross_corpus.md").read_text().split("\n\n")
    left_out = {"one": "happy of one (12 clips)", "two": "neutral of two (12 clips)"}
    by_block = {"Within one": {"one"}, "Within two": {"two"}, "Across": {"one", "two"}}
    for block, corpora in by_block.items():
        text = next(paragraph for paragraph in words if paragraph.startswith(f"{block}:"))
        assert {name for name, label in left_out.items() if label in text} == corpora
    for name, label in left_out.items():
        page = (base / "table" / f"within-{name}" / "report.html").read_text()
        assert [text for text in left_out.values() if text in page] == [label]


def test_a_comparison_of_the_runs_titles_the_blocks_within_corpora_apart(base):
    runs = [finished.read(base / "table" / f"within-{name}") for name in ("one", "two")]
    assert [block.title for block in group_runs(runs)] == [
        f"both, protocol {runs[0].report['protocol']['name']}, 2 folds, tested on {name}" for name in ("one", "two")
    ]


def test_across_corpora_a_model_of_one_is_tested_on_the_whole_other(base):
    run = finished.read(base / "table" / "across")
    pairs = list(zip(run.predictions.utterances, run.predictions.origins, strict=True))
    tested = {fold: {row.corpus for row, (_, of_fold) in pairs if of_fold == fold} for fold in (1, 2)}
    assert tested == {1: {"two"}, 2: {"one"}}
    assert run.predictions.emotions == ["angry", "sad"]


def test_the_table_is_made_of_the_runs_beside_it(base):
    across = finished.read(base / "table" / "across").predictions
    within = {name: finished.read(base / "table" / f"within-{name}").predictions for name in ("one", "two")}
    cells = {(cell.trained_on, cell.tested_on): cell for cell in fill(["one", "two"], across, within)}
    pairs = zip(across.utterances, across.labels, strict=True)
    right = [row.emotion == label for row, label in pairs if row.corpus == "two"]
    assert cells["one", "two"].accuracy == pytest.approx(sum(right) / len(right))
    assert cells["one", "one"].accuracy == pytest.approx(within["one"].accuracy)


def test_the_table_is_drawn(base, tmp_path):
    runs = [finished.read(base / "table" / name).predictions for name in ("across", "within-one", "within-two")]
    save(heat_map(fill(["one", "two"], runs[0], dict(zip(("one", "two"), runs[1:], strict=True)))), tmp_path / "table")
    with Image.open(tmp_path / "table.png") as picture:
        assert picture.width > 300
        assert len(picture.convert("RGB").getcolors(2**24)) > 10


def test_finished_runs_are_not_trained_again_and_the_command_reports_it(base):
    with pytest.raises(UserError, match="finished runs are here; overwrite=true"):
        cross_corpus(config_of(base))
    cross_corpus(config_of(base, "resume=true"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["protocol=cross_corpus"], "give the protocol within each corpus"),
        (["protocol.fold=1"], "the table needs all folds"),
        (["hub.push=true", "hub.repo=a/b"], "push one of its runs"),
    ],
)
def test_what_the_table_cannot_be_made_of_is_refused(overrides, message, base):
    with pytest.raises(UserError, match=message):
        cross_corpus(config_of(base, *overrides))


def test_nothing_of_the_users_is_replaced_by_a_table(base, tmp_path):
    (tmp_path / "cross_corpus.md").write_text("my notes")
    cfg = replace(config_of(base), output_dir=str(tmp_path))
    with pytest.raises(UserError, match="not written by `ser cross-corpus`"):
        cross_corpus(cfg)
    assert (tmp_path / "cross_corpus.md").read_text() == "my notes"


def elsewhere(base, output, corpus, **options):
    """Evaluate on a corpus of choice, and return the report."""
    cfg = composed("evaluate", "checkpoint=x")
    known = {"checkpoint": None, "data_dir": str(base / corpus), "output_dir": str(output), **options}
    chosen = replace(composed("train").corpus, name=corpus, reader="folders")
    evaluate(replace(cfg, **known, corpus=chosen))
    return reading.read_json(output, "classification_report.json")


def test_a_checkpoint_is_scored_on_another_corpus_with_the_emotions_that_both_have(base, tmp_path):
    report = elsewhere(base, tmp_path / "out", "two", checkpoint=str(base / "table" / "within-one" / "fold1"))
    assert report["clips"] == 24  # neutral is left out
    assert "Clips of other emotions (neutral) are left out." in report["in_words"]
    assert "scored clips of two may have been in its training" in report["in_words"]


def test_the_training_of_a_checkpoint_of_others_is_reported_as_unknown(base, tmp_path):
    shutil.copytree(base / "table" / "within-one" / "fold1" / "checkpoint", tmp_path / "theirs")
    settings = json.loads((tmp_path / "theirs" / "config.json").read_text())
    del settings["ser"]
    settings["id2label"] = {"0": "ANG", "1": "sadness"}
    settings["label2id"] = {"ANG": 0, "sadness": 1}
    (tmp_path / "theirs" / "config.json").write_text(json.dumps(settings))
    report = elsewhere(base, tmp_path / "out", "one", checkpoint=str(tmp_path / "theirs"))
    assert "Nothing is known of its training" in report["in_words"]
    assert not report["speakers_are_new"]
    assert report["seed"] is None
    assert (tmp_path / "out" / "report.html").is_file()


def test_anybodys_predictions_are_scored_under_a_protocol(base, tmp_path):
    prepared = (base / "one" / "manifest.csv").read_text().splitlines()[1:]
    lines = [f"{path},{emotion}" for path, emotion, *_ in (line.split(",") for line in prepared)]
    (tmp_path / "p.csv").write_text("\n".join(["path,prediction", *lines]) + "\n")
    protocol = composed("train", "protocol=leave_one_speaker_out").protocol
    report = elsewhere(base, tmp_path / "out", "one", predictions=str(tmp_path / "p.csv"), protocol=protocol)
    assert (report["accuracy"], report["clips"], report["scored_on"]) == (1.0, 36, Split.test.value)
    assert "Only labels were given" in report["in_words"]


def test_scored_clips_that_were_trained_on_under_another_name_are_named(base, tmp_path):
    shutil.copytree(base / "one-recordings", tmp_path / "renamed-recordings")
    prepare_folders(tmp_path, "renamed", emotions=("angry", "happy", "sad"), speakers=tuple("abcdef"))
    run = base / "table" / "within-one" / "fold1"
    report = elsewhere(tmp_path, tmp_path / "out", "renamed", checkpoint=str(run))
    assert not report["speakers_are_new"]
    trained = len((run / "train.csv").read_text().splitlines()) - 1
    assert report["leaks"] == [f"Leak: {trained} of the 24 scored clips are recordings of its training split."]


def test_degraded_clips_of_another_corpus_are_scored_with_the_shared_emotions(base, tmp_path):
    run = base / "table" / "within-one" / "fold1"
    elsewhere(base, tmp_path / "out", "two", checkpoint=str(run), stress=True)
    rows = list(csv.DictReader((tmp_path / "out" / "stress.csv").open()))
    assert {row["clips"] for row in rows} == {"24"}
    assert {row["corpus"] for row in rows} == {"two"}
    assert rows[0]["condition"] == "clean"
    assert len(rows) == 8
