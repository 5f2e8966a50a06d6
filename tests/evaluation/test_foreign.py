import numpy as np
import pytest

from ser.corpora.labels import LabelMap
from ser.data.manifest import Utterance
from ser.errors import UserError
from ser.evaluation import foreign

EMOTIONS = ("angry", "happy")
ROWS = [
    Utterance(path=f"a/{index}.wav", emotion=emotion, speaker="") for index, emotion in enumerate(["angry", "happy"])
]


def aligned(labels, emotions=("angry", "happy", "sad"), **given):
    return foreign.align(labels, emotions, LabelMap(given), "checkpoint=x")


def test_labels_of_a_model_are_found_by_their_spellings_and_by_the_users_map():
    found = aligned(["ang", "hap", "exc", "neu"], exc="happy")
    assert found.emotions == ("angry", "happy")
    assert found.columns == {"angry": [0], "happy": [1, 2]}
    assert (found.only_model, found.only_corpus) == (("neu",), ("sad",))
    assert "Labels of the model without a clip (neu) cannot be predicted" in found.describe()
    assert "Clips of other emotions (sad) are left out" in found.describe()


def test_a_model_that_shares_too_few_labels_is_refused():
    with pytest.raises(UserError, match=r"1 of its labels \(up, sad\) is an emotion .* corpus\.emotions="):
        aligned(["up", "sad"])


def test_probabilities_of_one_meaning_are_added_and_the_rest_scaled_to_one():
    found = aligned(["ang", "hap", "exc", "neu"], exc="happy")
    scored = foreign.to_shared_labels(ROWS, np.array([[0.1, 0.2, 0.2, 0.5], [0.0, 0.0, 0.0, 1.0]]), found)
    assert scored.probabilities == pytest.approx(np.array([[0.2, 0.8], [0.5, 0.5]]))


def read(tmp_path, text):
    (tmp_path / "p.csv").write_text(text)
    return foreign.read_predictions(tmp_path / "p.csv", ROWS)


def test_a_table_of_labels_gives_ones_and_zeros(tmp_path):
    labels, shares = read(tmp_path, "path,prediction\na\\1.wav,sad\n/data/a/0.wav,Anger\nother.wav,sad\n")
    assert labels == ["Anger", "sad"]
    assert shares.tolist() == [[1, 0], [0, 1]]


def test_a_table_of_probabilities_keeps_them(tmp_path):
    labels, shares = read(tmp_path, "path,truth,ang,sad\na/0.wav,x,0.7,0.3\na/1.wav,x,0.2,0.8\n")
    assert labels == ["ang", "sad"]
    assert shares.tolist() == [[0.7, 0.3], [0.2, 0.8]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,prediction\na/0.wav,sad\n", "1 of 2 clips have no prediction: a/1.wav"),
        ("path,prediction\na/0.wav,sad\na/0.wav,sad\na/1.wav,sad\n", "1 recording twice in it: a/0.wav"),
        ("path,ang\na/0.wav,much\na/1.wav,0.1\n", "needs a column 'prediction', or numbers"),
        ("path,ang\na/0.wav,nan\na/1.wav,0.1\n", "must be numbers of at least 0"),
        ("path\na/0.wav\na/1.wav\n", "must be numbers of at least 0"),
    ],
)
def test_predictions_that_cannot_be_scored_are_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_a_bare_name_that_only_one_recording_has_is_that_recording(tmp_path):
    _, shares = read(tmp_path, "path,prediction\n0.wav,sad\n1.wav,happy\n")
    assert shares.tolist() == [[0, 1], [1, 0]]
