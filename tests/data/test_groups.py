from dataclasses import replace

import pytest
from conftest import composed
from helpers.protocol_lists import sectioned_corpus, whole_corpus

from ser.config import Split
from ser.data.audit import are_new_speakers, count_unknown_speakers
from ser.data.groups import draw_groups, resolve_protocol
from ser.data.manifest import Utterance
from ser.data.protocols import list_folds, split_corpus
from ser.errors import UserError
from ser.rows import Rows


def protocol(*overrides):
    return composed("train", *overrides).protocol


def test_folds_of_speakers_are_stratified_as_far_as_whole_speakers_allow():
    resolved = resolve_protocol(whole_corpus(), protocol("protocol=speaker_kfold", "protocol.folds=6"))
    assert sorted(name for names in resolved.test_speakers.values() for name in names) == sorted(
        str(actor) for actor in range(1, 25)
    )
    assert {len(names) for names in resolved.test_speakers.values()} == {4}
    assert (resolved.group, resolved.folds) == (None, None)


def test_folds_depend_on_the_seed_of_the_protocol_and_not_on_the_order_of_rows():
    given = protocol("protocol=speaker_kfold")
    one = resolve_protocol(whole_corpus(), given).test_speakers
    assert one == resolve_protocol(whole_corpus()[::-1], given).test_speakers
    assert one != resolve_protocol(whole_corpus(), replace(given, seed=1)).test_speakers


@pytest.mark.parametrize(
    ("name", "folds"), [("leave_one_speaker_out", 24), ("leave_one_session_out", 6), ("cross_corpus", 2)]
)
def test_without_a_number_each_group_is_a_fold(name, folds):
    resolved = resolve_protocol(sectioned_corpus(), protocol(f"protocol={name}"))
    assert list_folds(resolved) == list(range(1, folds + 1))


def test_a_session_is_on_one_side_alone():
    resolved = resolve_protocol(sectioned_corpus(), protocol("protocol=leave_one_session_out"))
    for fold in list_folds(resolved):
        splits = split_corpus(sectioned_corpus(), replace(resolved, fold=fold))
        sessions = [{row.session for row in splits.get(split)} for split in Split]
        assert len(set().union(*sessions)) == sum(map(len, sessions)) == 6
        assert len({row.session for row in splits.validation}) == 1


@pytest.mark.parametrize(
    ("overrides", "rows", "message"),
    [
        (["protocol=speaker_kfold", "protocol.folds=25"], whole_corpus(), "25 folds need as many speakers"),
        (["protocol=speaker_kfold", "protocol.fold=6"], whole_corpus(), "has the folds 1 to 5"),
        (["protocol=leave_one_session_out"], whole_corpus(), "divides by session, and 1440 of 1440 recordings have no"),
        (["protocol=cross_corpus"], whole_corpus(), "divides by corpus, and 1440 of 1440"),
        (["protocol=official"], whole_corpus(), "the corpus has no split of its own"),
        (["protocol=official", "protocol.test_split=test2"], sectioned_corpus(), "no split test2; it has test"),
        (["protocol=speaker_kfold", "protocol.corpora=[three]"], sectioned_corpus(), "no recordings of three"),
        (
            ["protocol=speaker_kfold"],
            [replace(row, speaker="") for row in whole_corpus()[:3]] + whole_corpus()[3:],
            "divides by speaker, and 3 of 1440 recordings have no known speaker",
        ),
    ],
)  # fmt: skip
def test_what_a_corpus_lacks_is_refused_in_one_line(overrides, rows, message):
    with pytest.raises(UserError, match=message):
        split_corpus(rows, protocol(*overrides))


def test_the_split_of_the_corpus_is_used_as_it_is():
    splits = split_corpus(sectioned_corpus(), protocol("protocol=official"))
    assert {row.split for row in splits.train} == {"train"}
    assert {row.split for row in splits.validation} == {"validation"}
    assert {row.split for row in splits.test} == {"test"}


def test_without_a_validation_split_of_its_own_speakers_are_held_out():
    rows = [replace(row, split=row.split.replace("validation", "train")) for row in sectioned_corpus()]
    splits = split_corpus(rows, protocol("protocol=official"))
    assert len({row.speaker for row in splits.validation}) == 2
    assert not {row.speaker for row in splits.validation} & {row.speaker for row in splits.train}


def test_random_clips_select_the_checkpoint_under_random():
    splits = split_corpus(whole_corpus(), protocol("protocol=random"))
    assert [len(splits.get(split)) for split in (Split.train, Split.validation, Split.test)] == [1036, 116, 288]


def test_only_the_corpora_of_the_protocol_are_used():
    splits = split_corpus(sectioned_corpus(), protocol("protocol=speaker_kfold", "protocol.corpora=[two]"))
    assert {row.corpus for split in Split for row in splits.get(split)} == {"two"}


def test_validation_speakers_come_from_each_corpus_in_turn():
    kinds = {f"{corpus}{number}": (corpus, "") for corpus in "ab" for number in range(9)}
    assert sorted(name[0] for name in draw_groups(kinds, 4, seed="0-1")) == ["a", "a", "b", "b"]


def test_unknown_speakers_are_never_new_speakers():
    splits = split_corpus(whole_corpus(), protocol("protocol=emobox"))
    assert are_new_speakers(splits, Split.test)
    unknown = replace(splits, test=Rows.of(Utterance, [replace(splits.test[0], speaker="")]))
    assert not are_new_speakers(unknown, Split.test)
    assert count_unknown_speakers(unknown, Split.test) == 1


def test_corpora_that_a_user_lists_replace_the_computed_folds():
    given = protocol("protocol=cross_corpus", "+protocol.test_corpora={1: [two]}")
    assert list_folds(resolve_protocol(sectioned_corpus(), given)) == [1]
    assert {row.corpus for row in split_corpus(sectioned_corpus(), given).test} == {"two"}
