import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.toy_runs import toy_run

from ser.comparison import blocks as comparison
from ser.comparison import tables
from ser.comparison.paper import TABLE_III
from ser.data.published import TEST_LISTS
from ser.errors import UserError

(PAPER,) = TEST_LISTS["paper"]


def test_runs_of_different_protocols_are_in_separate_blocks(tmp_path):
    runs = [
        toy_run(tmp_path / "a", protocol="paper", hits=0.9),
        toy_run(tmp_path / "b", protocol="emobox", hits=0.6),
        toy_run(tmp_path / "c", protocol="paper", hits=0.7),
    ]
    blocks = comparison.group_runs(runs)
    assert [[run.folder.name for run in block.runs] for block in blocks] == [["a", "c"], ["b"]]
    assert [len(block.pairs) for block in blocks] == [1, 0]


def test_the_same_protocol_with_other_lists_is_another_block(tmp_path):
    runs = [toy_run(tmp_path / "a", lists="one"), toy_run(tmp_path / "b", lists="two")]
    first, second = comparison.group_runs(runs)
    assert first.title != second.title
    assert all(re.fullmatch("ravdess, protocol emobox, splits [0-9a-f]{8}", block.title) for block in (first, second))
    assert [block.title for block in comparison.group_runs(runs[::-1])] == [second.title, first.title]


def test_blocks_of_one_protocol_within_different_corpora_are_titled_by_the_tested_one(tmp_path):
    runs = [toy_run(tmp_path / name, lists=name) for name in ("ravdess", "emodb", "both")]
    tested = {"ravdess": ["ravdess"], "emodb": ["emodb"], "both": ["emodb", "ravdess"]}
    for place, run in enumerate(runs):
        known = tested[run.folder.name]
        rows = [replace(row, corpus=known[at % len(known)]) for at, row in enumerate(run.predictions.utterances)]
        runs[place] = replace(run, predictions=replace(run.predictions, utterances=rows))
    assert [block.title for block in comparison.group_runs(runs)] == [
        "ravdess, protocol emobox, tested on ravdess",
        "ravdess, protocol emobox, tested on emodb",
        "ravdess, protocol emobox, tested on emodb, ravdess",
    ]


def test_blocks_of_one_protocol_scored_on_different_splits_are_titled_by_the_split(tmp_path):
    runs = [toy_run(tmp_path / name) for name in ("test", "validation")]
    runs[1] = replace(runs[1], report={**runs[1].report, "scored_on": "validation"})
    assert [block.title for block in comparison.group_runs(runs)] == [
        "ravdess, protocol emobox, test split",
        "ravdess, protocol emobox, validation split",
    ]


def test_inside_a_block_the_best_uar_is_first(tmp_path):
    runs = [toy_run(tmp_path / str(hits), hits=hits) for hits in (0.5, 0.9, 0.7)]
    (block,) = comparison.group_runs(runs)
    assert [run.folder.name for run in block.runs] == ["0.9", "0.7", "0.5"]
    assert len(block.pairs) == 3
    assert all(pair.difference > 0 for pair in block.pairs)


def test_the_adjusted_p_is_of_speakers_where_they_are_new_and_of_clips_where_training_had_them(tmp_path):
    for new, honest in ((True, "speakers"), (False, "clips")):
        runs = [toy_run(tmp_path / f"{hits}-{new}", hits=hits, new=new) for hits in (0.5, 0.9)]
        (pair,) = comparison.group_runs(runs)[0].pairs
        assert pair.adjusted == getattr(pair, honest)
        assert pair.clips < 0.001


def test_runs_that_differ_only_in_the_seed_are_summed_up(tmp_path):
    runs = [toy_run(tmp_path / f"seed{seed}", seed=seed, hits=hits) for seed, hits in ((0, 0.7), (1, 0.8))]
    runs.append(toy_run(tmp_path / "other", seed=2, learning_rate=1.0))
    (block,) = comparison.group_runs(runs)
    (group,) = block.repeated
    assert {run.report["seed"] for run in group.runs} == {0, 1}
    values = [run.report["accuracy"] for run in group.runs]
    assert group.accuracy == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))


def test_a_run_of_several_seeds_has_no_p_by_clips(tmp_path):
    runs = [toy_run(tmp_path / "a", hits=0.9, seed=[0, 1]), toy_run(tmp_path / "b", hits=0.5)]
    (pair,) = comparison.group_runs(runs)[0].pairs
    assert pair.clips is None
    assert pair.adjusted == pair.speakers


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A comparison in every form, which no test changes."""
    tmp_path = tmp_path_factory.mktemp("compared")
    runs = [
        toy_run(tmp_path / "a", model="hubert_large", protocol="paper", hits=0.9, new=False, lists=PAPER),
        toy_run(tmp_path / "b", model="my_model", protocol="paper", hits=0.5, new=False, lists=PAPER),
        toy_run(tmp_path / "c", model="hubert_large", protocol="emobox", hits=0.6),
    ]
    folder = tmp_path / "comparison"
    folder.mkdir()
    tables.write(folder, comparison.group_runs(runs), published=True)
    return folder


def test_a_comparison_is_written_in_every_form(written):
    names = {f"comparison.{suffix}" for suffix in ("md", "csv", "tex", "html", "png", "pdf")}
    assert {path.name for path in written.iterdir()} == names


def test_markdown_has_the_columns_of_table_iii_and_what_they_are_worth(written):
    text = (written / "comparison.md").read_text()
    header = next(line for line in text.splitlines() if "accuracy" in line)
    for column in ("run", "accuracy", "UAR [95 % interval]", "size on disk", "runtime to that step", "published"):
        assert f" {column} " in header
    assert re.search(r"\| hubert_large \(seed 0\) +\| \d\d\.\d % \(at step 600\)", text)
    assert "88 % (at step 600), 1.27 GB, 16 min 34 s" in text
    assert "## ravdess, protocol paper" in text
    assert "## ravdess, protocol emobox" in text
    assert "not comparable" in text
    assert "Paired tests on the same clips" in text


def test_the_published_numbers_stand_only_in_the_block_of_the_papers_protocol(written):
    rows = {(row["block"], row["model"]): row for row in csv.DictReader((written / "comparison.csv").open())}
    assert rows["ravdess, protocol paper", "hubert_large"]["published_accuracy"] == "0.88"
    assert rows["ravdess, protocol paper", "my_model"]["published_accuracy"] == ""
    assert rows["ravdess, protocol emobox", "hubert_large"]["published_accuracy"] == ""


def test_the_published_numbers_do_not_stand_beside_other_lists(tmp_path):
    run = toy_run(tmp_path / "d", model="hubert_large", protocol="paper", lists="a subset")
    assert "published" not in tables.markdown(comparison.group_runs([run]), published=True)


def test_runs_of_one_model_and_seed_are_distinguished_by_what_differs(tmp_path):
    runs = [toy_run(tmp_path / name, learning_rate=rate) for name, rate in (("a", 0.1), ("b", 0.2), ("c", 0.2))]
    (block,) = comparison.group_runs([*runs, toy_run(tmp_path / "d", seed=1)])
    assert set(block.names.values()) == {
        "tiny (seed 0, trainer.learning_rate=0.1)",
        f"tiny (seed 0, trainer.learning_rate=0.2, {tmp_path / 'b'})",
        f"tiny (seed 0, trainer.learning_rate=0.2, {tmp_path / 'c'})",
        "tiny (seed 1, trainer.learning_rate=0.0001)",
    }
    pair = tables.pair_cells(block)[0]
    assert pair["better"] != pair["worse"]


def test_a_run_with_other_settings_and_another_seed_is_not_named_as_if_the_seed_alone_differed(tmp_path):
    runs = [toy_run(tmp_path / "full"), toy_run(tmp_path / "again", seed=1), toy_run(tmp_path / "short", seed=2)]
    assert set(comparison.name_runs(runs).values()) == {"tiny (seed 0)", "tiny (seed 1)", "tiny (seed 2)"}
    trainer = {**runs[2].settings["trainer"], "max_steps": 4}
    short = replace(runs[2], settings={**runs[2].settings, "trainer": trainer})
    assert comparison.name_runs([*runs[:2], short])[short.folder] == "tiny (seed 2, trainer.max_steps=4)"
    assert comparison.name_runs([*runs[:2], short])[runs[0].folder] == "tiny (seed 0, trainer.max_steps=None)"


def test_the_seeds_of_repeated_runs_are_named_in_order(tmp_path):
    runs = [toy_run(tmp_path / str(seed), seed=seed, hits=hits) for seed, hits in ((2, 0.9), (10, 0.8), (0, 0.7))]
    assert "tiny over the seeds 0, 2, 10: " in tables.markdown(comparison.group_runs(runs), published=False)


def test_the_validation_column_is_explained_only_where_it_is(tmp_path):
    explained = "validation: UAR on the validation split; trained: parameters"
    without, with_it = toy_run(tmp_path / "a"), toy_run(tmp_path / "b", validation=0.5)
    assert "validation" not in tables.markdown(comparison.group_runs([without]), published=False)
    assert explained in tables.markdown(comparison.group_runs([with_it]), published=False)


def test_augmentation_is_named_by_its_choice_where_every_run_has_one(tmp_path):
    light = {"speed_probability": 1.0, "speed_factors": [0.9, 0.95, 1.0, 1.05, 1.1], "gain_decibels": 6.0}
    light |= {"noise_probability": 0.3, "noise_folder": None, "noise_snr": [10.0, 30.0], "trim_silence": 1.0}
    plain, augmented = toy_run(tmp_path / "a"), toy_run(tmp_path / "b")
    augmented = replace(augmented, settings={**augmented.settings, "augment": light})
    assert set(comparison.name_runs([plain, augmented]).values()) == {
        "tiny (seed 0, augment=none)",
        "tiny (seed 0, augment=light)",
    }
    quiet = replace(augmented, settings={**augmented.settings, "augment": {"gain_decibels": 3.0}})
    assert comparison.name_runs([plain, quiet])[quiet.folder] == "tiny (seed 0, augment.gain_decibels=3.0)"


def test_runs_whose_corpora_lie_elsewhere_are_compared_clip_by_clip(tmp_path):
    here, there = toy_run(tmp_path / "a", hits=0.9), toy_run(tmp_path / "b", hits=0.5)
    (before,) = comparison.group_runs([here, there])[0].pairs
    rows = [replace(row, path=f"audio/{row.path[:-4]}.flac") for row in there.predictions.utterances]
    moved = replace(there, predictions=replace(there.predictions, utterances=rows))
    (after,) = comparison.group_runs([here, moved])[0].pairs
    assert (after.difference, after.clips, after.speakers) == (before.difference, before.clips, before.speakers)


def test_a_file_that_is_no_earlier_comparison_is_never_replaced(written, tmp_path):
    tables.check_place(written)
    (tmp_path / "comparison.csv").write_text("mine")
    with pytest.raises(UserError, match=r"comparison\.csv: not written by `ser compare`"):
        tables.check_place(tmp_path)


def test_without_published_there_is_nothing_of_the_paper(written, tmp_path):
    run = toy_run(tmp_path / "d", model="hubert_large", protocol="paper")
    assert "published" not in tables.markdown(comparison.group_runs([run]), published=False)


def test_latex_escapes_what_latex_would_read(written):
    text = (written / "comparison.tex").read_text()
    assert r"hubert\_large" in text
    assert text.count(r"\begin{tabular}") == 2
    assert re.search(r"(?<!\\)%", re.sub("^%.*$", "", text, flags=re.MULTILINE)) is None


def test_the_page_is_one_file_and_escapes_names(tmp_path):
    run = toy_run(tmp_path / "a", model="<script>alert(1)</script>")
    folder = tmp_path / "comparison"
    folder.mkdir()
    tables.write(folder, comparison.group_runs([run]), published=False)
    page = (folder / "comparison.html").read_text()
    assert "<script>" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert 'src="data:image/png;base64,' in page


def test_the_figure_has_a_panel_for_each_protocol(tmp_path):
    runs = [toy_run(tmp_path / "a", protocol="paper"), toy_run(tmp_path / "b", protocol="emobox")]
    figure = tables.comparison_figure(comparison.group_runs(runs))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["ravdess, protocol paper", "ravdess, protocol emobox"]


def test_the_published_table_is_that_of_the_paper():
    assert {name: (row.accuracy, row.step) for name, row in TABLE_III.items()} == {
        "wav2vec2_base": (0.84, 1300), "xlsr_300m": (0.85, 800), "xlsr_1b": (0.82, 500), "hubert_large": (0.88, 600),
    }  # fmt: skip
    assert json.dumps(TABLE_III["xlsr_1b"]) == "[0.82, 500, 3860000000, 1540]"
