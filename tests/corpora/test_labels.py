import pytest

from ser.corpora.labels import ALIASES, SCHEMES, SPELLINGS, LabelMap, normalise
from ser.errors import UserError


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Anger", "angry"),
        ("ANG", "angry"),
        (" joy ", "happy"),
        ("Pleasant-Surprise", "surprised"),
        ("boredom", "bored"),
    ],
)
def test_spellings_of_an_emotion_are_one_label(text, label):
    assert normalise(text) == label


def test_no_spelling_has_two_meanings():
    spellings = [spelling for texts in SPELLINGS.values() for spelling in texts.split()]
    assert len(spellings) == len(set(spellings)) == len(ALIASES)
    assert not set(spellings) & set(SPELLINGS)
    assert all(len(spelling) > 1 for spelling in spellings)


def test_every_label_of_a_scheme_is_a_label():
    assert all(normalise(label) == label for scheme in SCHEMES.values() for label in (*scheme, *scheme.values()))


def test_a_scheme_leaves_other_emotions_out_and_counts_excitement_as_happiness():
    labels = LabelMap({}, "iemocap4")
    assert [labels.map(text) for text in ("exc", "hap", "fru", "neu")] == ["happy", "happy", None, "neutral"]
    assert labels.changes() == {
        "mapped": {"exc -> happy": 1, "hap -> happy": 1, "neu -> neutral": 1},
        "left_out": {"fru": 1},
    }


def test_the_users_choice_comes_before_the_scheme():
    labels = LabelMap({"Frustration": "angry", "neutral": None}, "iemocap4")
    assert [labels.map(text) for text in ("fru", "neu", "sad")] == ["angry", None, "sad"]


def test_an_entry_that_changes_nothing_is_named():
    labels = LabelMap({"boredem": None, "xyz": "sad", "happy": "joyful"})
    for text in ("Bored", "Happy"):
        labels.map(text)
    assert labels.warnings() == [
        "corpus.emotions: no recording has the label xyz; there are bored, happy",
        "corpus.emotions: joyful is a spelling of happy, and changes nothing",
    ]


def test_two_spellings_of_one_label_cannot_become_two_labels():
    with pytest.raises(UserError, match="happiness and Happy are one label, and cannot become sad and None"):
        LabelMap({"happiness": "sad", "Happy": None})


def test_an_unknown_scheme_is_refused_with_the_choices():
    with pytest.raises(UserError, match=r"corpus\.scheme=big7: there is no such scheme; did you mean big6"):
        LabelMap({}, "big7")
