from dataclasses import replace

from conftest import composed
from helpers.protocol_lists import emobox, every_fold, paper, whole_corpus

from ser.config import Split
from ser.data.audit import missing_emotions
from ser.data.protocols import split_corpus
from ser.reports.protocol_text import in_words


def test_the_words_say_who_was_heard_and_where_the_checkpoint_was_chosen():
    rows = whole_corpus()
    shared = in_words(paper(), [split_corpus(rows, paper())], Split.test)
    assert "24 of these 24 speakers also speak in the training list" in shared
    assert "chosen on this very list" in shared
    fold = split_corpus(rows, emobox(1))
    independent = in_words(emobox(1), [fold], Split.test)
    assert "Protocol emobox, fold 1" in independent
    assert "None of these speakers is heard in training" in independent
    assert "The checkpoint was chosen on 2 other held-out speakers" in independent
    assert "chosen on this very list" in in_words(emobox(1), [fold], Split.validation)
    assert "trained on" in in_words(emobox(1), [fold], Split.train)


def test_all_folds_together_are_described_as_one():
    protocol = composed("train", "protocol=luna_jimenez_held_out").protocol
    words = in_words(protocol, [splits for _, splits in every_fold("luna_jimenez_held_out")], Split.test)
    assert "5 folds: 1440 clips of 24 speakers, each tested once, by a model trained on 1020 to 1080 other" in words
    assert "None of these speakers is heard in training." in words
    assert "Each checkpoint was chosen on 2 other held-out speakers." in words


def test_a_fold_of_one_speaker_is_written_in_the_singular():
    protocol = replace(composed("train", "protocol=leave_one_actor_out").protocol, fold=3)
    assert "(60 clips, 1 speaker)" in in_words(protocol, [split_corpus(whole_corpus(), protocol)], Split.test)


def test_sentences_are_mentioned_only_where_they_are_new_and_known():
    rows = [replace(row, statement="") for row in whole_corpus()]
    assert "sentences" not in in_words(emobox(1), [split_corpus(rows, emobox(1))], Split.test)
    assert "sentences" not in in_words(emobox(1), [split_corpus(whole_corpus(), emobox(1))], Split.test)


def test_a_claim_to_a_publication_is_made_for_its_own_lists_only():
    rows = whole_corpus()
    assert "So it was published: Gavali" in in_words(paper(), [split_corpus(rows, paper())], Split.test)
    part = [row for row in rows if int(row.speaker) < 20]
    assert "published" not in in_words(paper(), [split_corpus(part, paper())], Split.test)
    drawn_otherwise = replace(paper(), seed=1)
    assert "published" not in in_words(drawn_otherwise, [split_corpus(rows, drawn_otherwise)], Split.test)
    every = [splits for _, splits in every_fold("luna_jimenez")]
    protocol = composed("train", "protocol=luna_jimenez").protocol
    assert "So it was published: Luna" in in_words(protocol, every, Split.test)


def test_an_emotion_without_a_clip_bounds_the_recall():
    splits = split_corpus(whole_corpus(), emobox(1))
    emotions = sorted({row.emotion for row in splits.test})
    assert missing_emotions([splits], Split.test, emotions) == []
    without = replace(splits, test=[row for row in splits.test if row.emotion != "sad"])
    (sentence,) = missing_emotions([without], Split.test, emotions)
    assert sentence == "The test list has no clip of sad: its unweighted average recall is at most 7/8."
