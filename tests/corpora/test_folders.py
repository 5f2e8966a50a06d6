import pytest
from helpers.own_corpora import folders, write_recordings

from ser.config import Corpus
from ser.corpora import find_facts
from ser.corpora.scanning import scan
from ser.errors import UserError


def test_the_folder_of_a_recording_is_its_emotion_and_an_expression_finds_its_speaker(tmp_path):
    write_recordings(tmp_path, speakers=["anna", "ben"], takes=1)
    (tmp_path / "notes.txt").write_text("x")
    found = scan(tmp_path, folders())
    assert [(row.speaker, row.emotion) for row in found.recordings] == [
        (speaker, emotion) for speaker in ("anna", "ben") for emotion in ("angry", "happy", "sad")
    ]
    assert len({row.id for row in found.recordings}) == 6
    assert found.left_out == {"files that are no audio": ["notes.txt"]}


def test_without_an_expression_no_speaker_is_known(tmp_path):
    write_recordings(tmp_path, speakers=["anna"], takes=1)
    assert {row.speaker for row in scan(tmp_path, Corpus("folders")).recordings} == {""}


def test_recordings_outside_folders_and_without_a_speaker_are_named(tmp_path):
    write_recordings(tmp_path, speakers=["anna"], takes=1)
    with pytest.raises(UserError, match=r"corpus\.speaker=\(S\[0-9\]\): it finds no speaker in 3 paths: anna"):
        scan(tmp_path, Corpus("folders", speaker="(S[0-9])"))
    (tmp_path / "lost.wav").write_bytes(b"x")
    with pytest.raises(UserError, match=r"1 recording in no folder below it: lost\.wav"):
        scan(tmp_path, Corpus("folders"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"speaker": "S[0-9]"}, "put the speaker in parentheses"),
        ({"speaker": "(S"}, "it is no regular expression"),
        ({"emotions": {"a": 1}}, "corpus.emotions.a=1: give a label, or null"),
        ({"name": "a/b"}, "fit for the name of a folder"),
    ],
)
def test_values_that_cannot_be_are_refused_by_the_config(given, message):
    with pytest.raises(UserError, match=message):
        Corpus(**{"name": "folders", **given})


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (Corpus("nowhere"), "corpus.reader=nowhere: there is no such corpus"),
        (Corpus("facts"), "corpus.reader=facts: there is no such corpus"),
        (Corpus("folders", table="a.csv"), "corpus.table=a.csv: it is for corpus=table"),
        (Corpus("table"), "corpus.table is missing"),
        (Corpus("ravdess", variant="sung"), "has the variants speech, song, both"),
        (Corpus("emodb", variant="x"), "has no variants"),
    ],
)
def test_a_key_that_a_corpus_has_no_use_for_is_refused(corpus, message):
    with pytest.raises(UserError, match=message):
        find_facts(corpus)


def test_description_and_licence_of_the_config_replace_those_of_the_corpus():
    facts = find_facts(Corpus("folders", license="cc-by-nc-4.0", description="calls of May"))
    assert (facts.description, facts.license, facts.commercial) == ("calls of May", "cc-by-nc-4.0", False)
