from dataclasses import replace

from conftest import composed
from helpers.protocol_lists import emobox, every_fold, paper, sectioned_corpus, whole_corpus

from ser.config import Split
from ser.data.audit import describe_missing_emotions
from ser.data.groups import resolve_protocol
from ser.data.protocols import split_corpus
from ser.reports.protocol_text import describe_protocol


def test_the_text_names_the_test_speakers_and_where_the_checkpoint_was_chosen():
    rows = whole_corpus()
    shared = describe_protocol(paper(), [split_corpus(rows, paper())], Split.test)
    assert "24 of 24 test speakers also occur in the training split" in shared
    assert "selected on this same split" in shared
    fold = split_corpus(rows, emobox(1))
    independent = describe_protocol(emobox(1), [fold], Split.test)
    assert "Protocol emobox, fold 1" in independent
    assert "Speaker-independent: no test speaker occurs in the training split" in independent
    assert "The checkpoint was selected on 2 other held-out speakers" in independent
    assert "selected on this same split" in describe_protocol(emobox(1), [fold], Split.validation)
    assert "used in training" in describe_protocol(emobox(1), [fold], Split.train)


def test_all_folds_together_are_described_as_one():
    protocol = composed("train", "protocol=luna_jimenez_held_out").protocol
    words = describe_protocol(protocol, [splits for _, splits in every_fold("luna_jimenez_held_out")], Split.test)
    assert "5 folds: 1440 clips of 24 speakers, each tested once, by a model trained on 1020 to 1080 other" in words
    assert "Speaker-independent: no test speaker occurs in the training split." in words
    assert "The checkpoint of each fold was selected on 2 other held-out speakers." in words


def test_a_fold_of_one_speaker_is_written_in_the_singular():
    protocol = replace(composed("train", "protocol=leave_one_actor_out").protocol, fold=3)
    assert "(60 clips, 1 speaker)" in describe_protocol(protocol, [split_corpus(whole_corpus(), protocol)], Split.test)


def test_statements_are_mentioned_only_where_they_are_new_and_known():
    protocol = replace(composed("train", "protocol=statement").protocol, fold=1)
    new = describe_protocol(protocol, [split_corpus(whole_corpus(), protocol)], Split.test)
    assert "The test statements do not occur there either." in new
    rows = [replace(row, statement="") for row in whole_corpus()]
    assert "statements" not in describe_protocol(emobox(1), [split_corpus(rows, emobox(1))], Split.test)
    assert "statements" not in describe_protocol(emobox(1), [split_corpus(whole_corpus(), emobox(1))], Split.test)


def test_a_claim_to_a_publication_is_made_for_its_own_lists_only():
    rows = whole_corpus()
    assert "Published in this form: Gavali" in describe_protocol(paper(), [split_corpus(rows, paper())], Split.test)
    part = [row for row in rows if int(row.speaker) < 20]
    assert "Published" not in describe_protocol(paper(), [split_corpus(part, paper())], Split.test)
    drawn_otherwise = replace(paper(), seed=1)
    assert "Published" not in describe_protocol(drawn_otherwise, [split_corpus(rows, drawn_otherwise)], Split.test)
    every = [splits for _, splits in every_fold("luna_jimenez")]
    protocol = composed("train", "protocol=luna_jimenez").protocol
    assert "Published in this form: Luna" in describe_protocol(protocol, every, Split.test)


def test_an_emotion_without_a_clip_bounds_the_recall():
    splits = split_corpus(whole_corpus(), emobox(1))
    emotions = sorted({row.emotion for row in splits.test})
    assert describe_missing_emotions([splits], Split.test, emotions) == []
    without = replace(splits, test=splits.test.where(~splits.test.matches("emotion", ["sad"])))
    (sentence,) = describe_missing_emotions([without], Split.test, emotions)
    assert sentence == "The test split has no clip of sad: its unweighted average recall is at most 7/8."


def test_a_corpus_that_is_tested_by_a_model_of_others_is_named():
    protocol = resolve_protocol(sectioned_corpus(), composed("train", "protocol=cross_corpus").protocol)
    splits = split_corpus(sectioned_corpus(), replace(protocol, fold=2))
    text = describe_protocol(replace(protocol, fold=2), [splits], Split.test)
    assert "Trained on one, scored on two." in text
    assert "Speaker-independent" in text


def test_unknown_speakers_and_shared_sessions_are_reported():
    splits = split_corpus(sectioned_corpus(), composed("train", "protocol=random").protocol)
    text = describe_protocol(composed("train", "protocol=random").protocol, [splits], Split.test)
    assert "6 of 6 test sessions also occur in the training split." in text
    assert "selected on 116 other clips, not of other speakers" in text
    unknown = replace(splits, test=splits.test.replace(speaker=splits.test.map("speaker", lambda _: "")))
    text = describe_protocol(composed("train", "protocol=random").protocol, [unknown], Split.test)
    assert "Speakers unknown: 288 clips of the training and test splits have no known speaker" in text
