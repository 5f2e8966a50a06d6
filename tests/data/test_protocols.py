import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import composed
from helpers.protocol_lists import emobox, every_fold, paper, whole_corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser import config
from ser.apps import CONFIGS
from ser.config import Split
from ser.corpora import ravdess
from ser.data.folds_csv import read_folds_csv
from ser.data.groups import draw_groups
from ser.data.protocols import identify_splits, list_folds, split_corpus
from ser.errors import UserError
from ser.reports.protocol_text import describe_protocol


def test_the_paper_protocol_has_the_supports_of_the_papers_reports():
    splits = split_corpus(whole_corpus(), paper())
    supports = [sum(row.emotion == emotion for row in splits.test) for emotion in ravdess.EMOTIONS]
    assert (len(splits.train), len(splits.test)) == (1152, 288)
    assert supports == [38, 39, 38, 39, 38, 19, 38, 39]
    assert splits.validation == []
    assert splits.selection_split is Split.test


def test_the_paper_protocol_is_scikit_learns_split_of_the_sorted_manifest():
    from sklearn.model_selection import train_test_split

    rows = sorted(whole_corpus(), key=lambda row: row.path)
    _, test = train_test_split(rows, test_size=0.2, stratify=[row.emotion for row in rows], random_state=101)
    assert {row.path for row in split_corpus(rows, paper()).test} == {row.path for row in test}


@pytest.mark.parametrize("layout", ["{name}.wav", "{name}.flac", "z/{actor}/{name}.wav"])
@pytest.mark.parametrize("protocol", [paper(), emobox(2)], ids=["paper", "emobox"])
def test_the_lists_do_not_depend_on_where_the_files_lie(layout, protocol):
    here, there = split_corpus(whole_corpus(), protocol), split_corpus(whole_corpus(layout)[::-1], protocol)
    assert [row.name for row in here.test] == [
        row.name for row in sorted(there.test, key=lambda r: (r.speaker.zfill(2), r.name))
    ]
    assert identify_splits(protocol, here) == identify_splits(protocol, there)


def test_validation_speakers_are_drawn_from_each_gender_in_turn():
    genders = {str(actor): "male" if actor % 2 else "female" for actor in range(1, 25)}
    drawn = draw_groups(genders, 4, seed="0-1")
    assert sorted(genders[speaker] for speaker in drawn) == ["female", "female", "male", "male"]
    assert drawn == draw_groups(genders, 4, seed="0-1")
    assert any(draw_groups(genders, 4, seed=f"{seed}-1") != drawn for seed in range(1, 5))


def test_a_corpus_without_the_test_speakers_is_refused_by_their_names():
    rows = [row for row in whole_corpus() if row.speaker not in ("11", "20")]
    with pytest.raises(UserError, match="no recordings of the test speakers 11, 20"):
        split_corpus(rows, emobox(1))


def test_a_corpus_too_small_to_divide_is_refused():
    with pytest.raises(UserError, match=r"16 recordings cannot be divided by 0\.2, since each side needs"):
        split_corpus(
            [row for row in whole_corpus() if row.speaker in ("1", "2") and row.name[9:17] == "01-01-01"], paper()
        )


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["hapy"], "emotion 'hapy' has 1 recording, and a split needs at least 2 of each; 'corpus.emotions={hapy: "),
        (["hapy", "agry"], "each of the emotions 'agry', 'hapy' has 1 recording, "),
    ],
)
def test_an_emotion_with_a_single_recording_is_refused_by_its_name(labels, named):
    rows = whole_corpus()
    wrong = [replace(row, emotion=label) for row, label in zip(rows, labels, strict=False)]
    with pytest.raises(UserError, match=re.escape(f"protocol 'paper': {named}")) as error:
        split_corpus([*wrong, *rows[len(wrong) :]], paper())
    assert "class" not in str(error.value)


def test_more_validation_speakers_than_there_are_is_refused():
    protocol = replace(emobox(1), validation_speakers=20)
    with pytest.raises(UserError, match="only 20 speakers"):
        split_corpus(whole_corpus(), protocol)


PUBLISHED = {
    "emobox": [{1, 11, 20, 21}, {4, 10, 12, 14}, {8, 9, 19, 23}, {3, 5, 7, 24}, {2, 15, 16, 18}, {6, 13, 17, 22}],
    "luna_jimenez": [
        {2, 5, 14, 15, 16}, {3, 6, 7, 13, 18}, {10, 11, 12, 19, 20}, {8, 17, 21, 23, 24}, {1, 4, 9, 22},
    ],
    "actors_kfold": [set(range(start, min(start + 5, 25))) for start in range(1, 25, 5)],
    "leave_one_actor_out": [{actor} for actor in range(1, 25)],
}  # fmt: skip
PUBLISHED["luna_jimenez_held_out"] = PUBLISHED["luna_jimenez"]
PARTITIONS = [*PUBLISHED, "statement"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_folds_test_the_published_speakers(name):
    tested = [{int(row.speaker) for row in splits.test} for _, splits in every_fold(name)]
    assert tested == PUBLISHED[name]


@pytest.mark.parametrize("name", PARTITIONS)
def test_every_clip_is_tested_exactly_once_over_the_folds(name):
    tested = [row.path for _, splits in every_fold(name) for row in splits.test]
    assert sorted(tested) == sorted(row.path for row in whole_corpus())


@pytest.mark.parametrize("name", sorted(path.stem for path in (Path(CONFIGS) / "protocol").glob("[!_]*.yaml")))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_protocol_puts_a_speaker_on_both_sides_unless_it_draws_clips(name, seed):
    given = ["+protocol.test_speakers={1: [21, 22], 2: [3]}"] if name in ("custom", "table") else []
    for protocol, splits in every_fold(name, f"protocol.seed={seed}", *given):
        speakers = [{row.speaker for row in splits.get(split)} for split in Split]
        apart = len(set().union(*speakers)) == sum(map(len, speakers))
        assert apart == (protocol.test_fraction is None)
        paths = [row.path for split in Split for row in splits.get(split)]
        assert len(paths) == len(set(paths))
        assert splits.train
        assert splits.test


@pytest.mark.parametrize("name", [name for name in PARTITIONS if name != "luna_jimenez"])
def test_the_checkpoint_is_chosen_on_two_speakers_who_are_neither_trained_on_nor_tested(name):
    for _, splits in every_fold(name):
        assert len({row.speaker for row in splits.validation}) == 2
        assert splits.selection_split is Split.validation


def test_luna_jimenez_is_offered_as_published_with_the_checkpoint_chosen_on_the_tested_speakers():
    for protocol, splits in every_fold("luna_jimenez"):
        assert splits.selection_split is Split.test
        assert "Published in this form: Luna-Jimenez" in describe_protocol(protocol, [splits], Split.test)


def test_the_statement_protocol_trains_on_neither_the_tested_speakers_nor_the_tested_sentence():
    for protocol, splits in every_fold("statement"):
        tested = {row.statement for row in splits.test}
        assert len(tested) == 1
        assert tested.isdisjoint(row.statement for row in splits.train + splits.validation)
        assert "The test statements do not occur there either." in describe_protocol(protocol, [splits], Split.test)


def written(path, rows):
    path.write_text("path,fold\n" + "".join(f"{name},{fold}\n" for name, fold in rows))
    return composed("train", "protocol=custom", f"protocol.folds_csv='{path}'").protocol


def test_a_table_of_folds_tests_each_recording_in_its_own(tmp_path):
    rows = [(row.path, int(row.speaker) % 3 + 1) for row in whole_corpus()]
    protocol = written(tmp_path / "folds.csv", rows)
    assert list_folds(protocol) == [1, 2, 3]
    splits = split_corpus(whole_corpus(), replace(protocol, fold=2))
    assert {int(row.speaker) % 3 for row in splits.test} == {1}
    assert {int(row.speaker) % 3 for row in splits.train + splits.validation} == {0, 2}


def test_a_recording_without_a_fold_in_the_table_is_in_no_list(tmp_path):
    rows = [(row.path, "" if row.emotion == "calm" else int(row.speaker) % 2) for row in whole_corpus()]
    splits = split_corpus(whole_corpus(), written(tmp_path / "folds.csv", rows))
    assert "calm" not in {row.emotion for split in Split for row in splits.get(split)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], "it lacks 1 recording of the corpus, such as"),
        (lambda rows: [*rows, ("other.wav", 1)], r"the corpus has no other\.wav"),
        (lambda rows: [(rows[0][0], "one"), *rows[1:]], "fold 'one' of .* must be a whole number"),
        (lambda rows: [(rows[0][0], "²"), *rows[1:]], "fold '²' of .* must be a whole number"),
        (lambda rows: [*rows, (rows[0][0], 5)], "line 1442: .* stands in two folds, 1 and 5"),
        (lambda rows: [*rows, (f"./{rows[0][0]}", 5)], "stands in two folds, 1 and 5"),
    ],
)
def test_a_table_that_does_not_fit_the_corpus_is_refused(change, message, tmp_path):
    rows = [(row.path, int(row.speaker) % 2) for row in whole_corpus()]
    with pytest.raises(UserError, match=message):
        split_corpus(whole_corpus(), written(tmp_path / "folds.csv", change(rows)))


@pytest.mark.parametrize(
    ("spelt", "header", "delimiter", "encoding"),
    [
        (lambda path, fold: (path, f"{fold}.0"), "path,fold", ",", "utf-8"),
        (lambda path, fold: (path.replace("/", "\\"), fold), "path,fold", ",", "utf-8"),
        (lambda path, fold: (f"./{path}", fold), "path,fold", ",", "utf-8"),
        (lambda path, fold: (f"/data/RAVDESS/{path}", fold), "path,fold", ",", "utf-8"),
        (lambda path, fold: ("C:\\data\\" + path.replace("/", "\\"), fold), "path,fold", ",", "utf-8"),
        (lambda path, fold: (path, fold), "Path;Fold", ";", "utf-8-sig"),
        (lambda path, fold: (path, f" {fold} "), " path\tFOLD", "\t", "utf-16"),
    ],
)
def test_a_table_is_read_as_programs_write_it(spelt, header, delimiter, encoding, tmp_path):
    rows = [(row.path, int(row.speaker) % 3 + 1) for row in whole_corpus()]
    protocol = written(tmp_path / "folds.csv", rows)
    splits = split_corpus(whole_corpus(), replace(protocol, fold=2))
    lines = [header, "", *(delimiter.join(map(str, spelt(*row))) for row in rows), ""]
    (tmp_path / "folds.csv").write_bytes("\r\n".join(lines).encode(encoding))
    assert split_corpus(whole_corpus(), replace(protocol, fold=2)) == splits


def test_a_table_in_another_encoding_is_refused_in_one_line(tmp_path):
    protocol = written(tmp_path / "folds.csv", [])
    (tmp_path / "folds.csv").write_bytes("path,fold\nJörg.wav,1\n".encode("cp1252"))
    with pytest.raises(UserError, match="line 2 is not UTF-8"):
        list_folds(protocol)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(), st.text('path,fold;\t\n\r"0123. \0\\/').map(lambda text: ("path,fold\n" + text).encode())
    )
)
def test_any_table_is_read_or_refused(content, tmp_path):
    protocol = config.Protocol(
        name="custom", seed=0, folds_csv=str(tmp_path / "folds.csv"), validation_speakers=0, reference=""
    )
    (tmp_path / "folds.csv").write_bytes(content)
    with suppress(UserError):
        read_folds_csv(protocol)


def test_a_table_that_is_none_is_refused(tmp_path):
    protocol = written(tmp_path / "folds.csv", [])
    (tmp_path / "folds.csv").write_text("file,fold\n")
    with pytest.raises(UserError, match="must name the columns 'path' and 'fold' once"):
        list_folds(protocol)
    (tmp_path / "folds.csv").unlink()
    with pytest.raises(UserError, match="there is no such file"):
        list_folds(protocol)
    rows = [(row.path, int(row.speaker) % 2) for row in whole_corpus()]
    protocol = written(tmp_path / "folds.csv", rows)
    with pytest.raises(UserError, match=r"protocol\.fold=7: .* has the folds \[0, 1\]"):
        list_folds(replace(protocol, fold=7))


def test_lists_of_speakers_make_a_protocol():
    splits = every_fold(
        "custom", "+protocol.test_speakers={1: [21, 22, 23, 24]}",
        "+protocol.named_validation_speakers={1: [16, 17, 19, 20]}",
    )[0][1]  # fmt: skip
    assert {row.speaker for row in splits.test} == {"21", "22", "23", "24"}
    assert {row.speaker for row in splits.validation} == {"16", "17", "19", "20"}
    assert len({row.speaker for row in splits.train}) == 16


def test_a_tested_speaker_cannot_choose_the_checkpoint():
    with pytest.raises(UserError, match="21 not among the speakers left to train on"):
        every_fold(
            "custom", "+protocol.test_speakers={1: [21, 22]}", "+protocol.named_validation_speakers={1: [21]}",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["protocol.test_fraction=0.2"], "it has test_fraction and test_speakers"),
        (["protocol.fold=7"], "has the folds 1, 2, 3, 4, 5, 6; null runs all of them"),
        (["protocol.validation_speakers=-1"], "validation_speakers=-1"),
        (["+protocol.test_statements={7: 1}"], "test_speakers has no fold 7"),
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(overrides, message):
    with pytest.raises(UserError, match=message):
        composed("train", "protocol=emobox", *overrides)


def test_a_protocol_without_folds_has_no_third_one():
    with pytest.raises(UserError, match="protocol 'paper' has no folds: it must be null"):
        composed("train", "protocol.fold=3")
    with pytest.raises(UserError, match="it has none"):
        composed("train", "protocol=custom")


def test_a_table_without_a_fold_is_refused(tmp_path):
    protocol = written(tmp_path / "folds.csv", [(row.path, "") for row in whole_corpus()])
    with pytest.raises(UserError, match=r"folds\.csv: no recording in it has a fold"):
        list_folds(protocol)
