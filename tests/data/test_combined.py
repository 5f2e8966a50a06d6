import json
import shutil

import pytest
from conftest import composed
from helpers.own_corpora import folders, prepare_folders

from ser import config
from ser.config import Corpus, SharedLabels
from ser.data.preparation import open_or_prepare, prepare
from ser.errors import UserError


@pytest.fixture
def parts(tmp_path):
    """Two prepared corpora that share two emotions and the names of speakers."""
    prepare_folders(tmp_path, "one", emotions=("angry", "happy", "sad"))
    prepare_folders(tmp_path, "two", emotions=("angry", "neutral", "sad"), rate=22050)
    return tmp_path


def combine(folder, labels=SharedLabels.shared, **options):
    corpus = Corpus("both", reader="combined", parts=["one", "two"], labels=labels, **options)
    protocol = composed("train", "protocol=cross_corpus").protocol
    return open_or_prepare(corpus, protocol, None, str(folder / "both"))


def test_corpora_are_joined_with_the_emotions_that_all_have(parts):
    both = combine(parts)
    assert both.emotions == ("angry", "sad")
    assert len(both.utterances) == 32
    assert {row.speaker for row in both.utterances} == {
        f"{corpus}/{name}" for corpus in ("one", "two") for name in ("anna", "ben", "carl", "dora")
    }
    audit = json.loads((parts / "both" / "audit.json").read_text())
    assert {reason: entry["count"] for reason, entry in audit["left_out"].items()} == {
        "recordings of one whose emotion another corpus lacks (happy)": 8,
        "recordings of two whose emotion another corpus lacks (neutral)": 8,
    }
    assert both.labels["left_out"] == {"happy of one": 8, "neutral of two": 8}  # what every report says


def test_all_emotions_are_kept_where_the_config_says_so(parts):
    assert combine(parts, SharedLabels.all).emotions == ("angry", "happy", "neutral", "sad")


def test_the_audio_of_joined_corpora_is_that_of_each(parts):
    both = combine(parts)
    one = open_or_prepare(folders("one"), composed("train").protocol, None, str(parts / "one"))
    for row in both.utterances:
        if row.corpus == "one":
            alone = one.audio.samples(one.index_of[row.path.removeprefix("one/")])
            assert both.audio.samples(both.index_of[row.path]).tolist() == alone.tolist()
    assert not (parts / "both" / "audio").exists()


def test_copies_are_found_across_corpora(tmp_path):
    prepare_folders(tmp_path, "one")
    prepare_folders(tmp_path, "two")
    assert ("one/anna/angry/0.wav", "two/anna/angry/0.wav") in combine(tmp_path).duplicates


def test_a_part_that_changed_is_joined_anew(parts):
    before = combine(parts)
    shutil.rmtree(parts / "one-recordings")
    prepare_folders(parts, "one", takes=3)
    after = combine(parts)
    assert len(after.utterances) == len(before.utterances) + 8


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["one", "three"], "three is not prepared; run `ser prepare-data corpus=three"),
        (["one", "one"], "name prepared corpora, each once"),
        ([], "name prepared corpora"),
    ],
)
def test_parts_that_cannot_be_joined_are_named(names, message, parts):
    corpus = Corpus("both", reader="combined", parts=names)
    with pytest.raises(UserError, match=message):
        prepare(corpus, composed("train", "protocol=cross_corpus").protocol, None, str(parts / "x"), config.Audit.warn)


def test_corpora_without_a_common_emotion_are_refused(parts):
    with pytest.raises(UserError, match="no emotion is in all corpora: one has happy; two has neutral"):
        combine(parts, emotions={"angry": None, "sad": None})
