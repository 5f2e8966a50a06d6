from dataclasses import replace

import pytest
from conftest import composed

from ser.config import Side
from ser.corpora import ravdess
from ser.data.manifest import Utterance
from ser.data.protocols import draw_speakers, identity, in_words, split
from ser.errors import UserError


def whole_corpus(layout="Actor_{actor}/{name}.wav"):
    """The 1440 names of RAVDESS."""
    rows = []
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for intensity in ("01", "02") if emotion > 1 else ("01",):
                for statement in ("01", "02"):
                    for repetition in ("01", "02"):
                        name = f"03-01-{emotion:02d}-{intensity}-{statement}-{repetition}-{actor:02d}"
                        path = layout.format(actor=f"{actor:02d}", name=name)
                        rows.append(Utterance(**vars(ravdess.recording(path))))
    return rows


def paper():
    return composed("train", "protocol=paper").protocol


def emobox(fold):
    return composed("train", "protocol=emobox", f"protocol.fold={fold}").protocol


def test_the_paper_protocol_has_the_supports_of_the_papers_reports():
    lists = split(whole_corpus(), paper())
    supports = [sum(row.emotion == emotion for row in lists.test) for emotion in ravdess.EMOTIONS]
    assert (len(lists.train), len(lists.test)) == (1152, 288)
    assert supports == [38, 39, 38, 39, 38, 19, 38, 39]
    assert lists.validation == []
    assert lists.chosen_on is Side.test


def test_the_paper_protocol_is_scikit_learns_split_of_the_sorted_manifest():
    from sklearn.model_selection import train_test_split

    rows = sorted(whole_corpus(), key=lambda row: row.path)
    _, test = train_test_split(rows, test_size=0.2, stratify=[row.emotion for row in rows], random_state=101)
    assert {row.path for row in split(rows, paper()).test} == {row.path for row in test}


@pytest.mark.parametrize("layout", ["{name}.wav", "{name}.flac", "z/{actor}/{name}.wav"])
@pytest.mark.parametrize("protocol", [paper(), emobox(2)], ids=["paper", "emobox"])
def test_the_lists_do_not_depend_on_where_the_files_lie(layout, protocol):
    here, there = split(whole_corpus(), protocol), split(whole_corpus(layout)[::-1], protocol)
    assert [row.name for row in here.test] == [
        row.name for row in sorted(there.test, key=lambda r: (r.speaker.zfill(2), r.name))
    ]
    assert identity(protocol, here) == identity(protocol, there)


def test_emobox_tests_every_clip_once_and_never_a_speaker_it_has_heard():
    tested = []
    for fold in range(1, 7):
        lists = split(whole_corpus(), emobox(fold))
        speakers = [{row.speaker for row in lists.side(side)} for side in Side]
        assert len(set().union(*speakers)) == sum(map(len, speakers))
        assert [len(group) for group in speakers] == [18, 2, 4]
        assert lists.chosen_on is Side.validation
        tested += [row.path for row in lists.test]
    assert sorted(tested) == sorted(row.path for row in whole_corpus())


def test_emobox_tests_the_published_actors():
    published = {
        1: {1, 11, 20, 21},
        2: {4, 10, 12, 14},
        3: {8, 9, 19, 23},
        4: {3, 5, 7, 24},
        5: {2, 15, 16, 18},
        6: {6, 13, 17, 22},
    }
    for fold, actors in published.items():
        assert {int(row.speaker) for row in split(whole_corpus(), emobox(fold)).test} == actors


def test_validation_speakers_are_drawn_from_each_gender_in_turn():
    genders = {str(actor): "male" if actor % 2 else "female" for actor in range(1, 25)}
    drawn = draw_speakers(genders, 4, seed="0-1")
    assert sorted(genders[speaker] for speaker in drawn) == ["female", "female", "male", "male"]
    assert drawn == draw_speakers(genders, 4, seed="0-1")
    assert any(draw_speakers(genders, 4, seed=f"{seed}-1") != drawn for seed in range(1, 5))


def test_a_corpus_without_the_test_speakers_is_refused_by_their_names():
    rows = [row for row in whole_corpus() if row.speaker not in ("11", "20")]
    with pytest.raises(UserError, match="no recordings of the test speakers 11, 20"):
        split(rows, emobox(1))


def test_a_corpus_too_small_to_divide_is_refused():
    with pytest.raises(UserError, match="cannot be divided"):
        split(whole_corpus()[:5], paper())


def test_more_validation_speakers_than_there_are_is_refused():
    protocol = replace(emobox(1), validation_speakers=20)
    with pytest.raises(UserError, match="only 20 speakers"):
        split(whole_corpus(), protocol)


def test_the_words_say_who_was_heard_and_where_the_checkpoint_was_chosen():
    rows = whole_corpus()
    shared = in_words(paper(), split(rows, paper()), Side.test)
    assert "24 of these 24 speakers also speak in the training list" in shared
    assert "chosen on this very list" in shared
    independent = in_words(emobox(1), split(rows, emobox(1)), Side.test)
    assert "None of these speakers is heard in training" in independent
    assert "chosen on 2 other held-out speakers" in independent
    assert "chosen on this very list" in in_words(emobox(1), split(rows, emobox(1)), Side.validation)
    assert "trained on" in in_words(emobox(1), split(rows, emobox(1)), Side.train)


@pytest.mark.parametrize(
    "overrides",
    [["protocol.test_fraction=0.2"], ["protocol.fold=null"], ["protocol.validation_speakers=-1"]],
)
def test_a_protocol_that_contradicts_itself_is_refused(overrides):
    with pytest.raises(UserError, match="protocol"):
        composed("train", "protocol=emobox", *overrides)
