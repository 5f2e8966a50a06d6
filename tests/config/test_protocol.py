import pytest
from conftest import composed

from ser.errors import UserError

SPEAKERS = "+protocol.test_speakers={1: [1, 2], 2: [3]}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("protocol.test_fraction=0", r"protocol\.test_fraction=0\.0: it must be above 0 and below 1"),
        ("protocol.test_fraction=nan", "it must be above 0 and below 1"),
        ("protocol.test_fraction=1", "it must be above 0 and below 1"),
        ("protocol.seed=-1", r"protocol\.seed=-1: it must be at least 0 and at most 4294967295"),
        ("protocol.seed=4294967296", "it must be at least 0 and at most"),
        ("protocol.validation_speakers=-1", "it must be at least 0"),
        ("protocol.validation_speakers=2", "must be 0 where clips are drawn at random"),
        ("protocol.fold=1", "protocol 'paper' has no folds: it must be null"),
        ("protocol.test_fraction=null", "give one of protocol.test_fraction, protocol.test_speakers"),
        ("protocol=custom", "give one of .* it has none"),
        ("protocol=emobox protocol.fold=7", "has the folds 1, 2, 3, 4, 5, 6"),
        ("protocol=emobox protocol.test_fraction=0.2", "it has test_fraction and test_speakers"),
        ("protocol=custom|+protocol.test_speakers={1: []}", "fold 1 tests nobody"),
        (f"protocol=custom|{SPEAKERS}|+protocol.test_statements={{3: '1'}}", "test_speakers has no fold 3"),
        (f"protocol=custom|{SPEAKERS}|+protocol.named_validation_speakers={{4: [1]}}", "test_speakers has no fold 4"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused_before_anything_is_read(words, message):
    with pytest.raises(UserError, match=message):
        composed("train", *(words.split("|") if "|" in words else words.split()))


def test_speakers_are_texts():
    assert composed("train", "protocol=custom", SPEAKERS).protocol.test_speakers == {1: ["1", "2"], 2: ["3"]}
