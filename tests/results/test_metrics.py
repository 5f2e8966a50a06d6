import doctest

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser.corpora import ravdess
from ser.data import audio
from ser.results import metrics
from ser.training import run_folder

LABELS = ["angry", "calm", "sad"]


@pytest.mark.parametrize("module", [metrics, ravdess, audio, run_folder])
def test_the_examples_in_the_docstrings_hold(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_unweighted_average_recall_ignores_how_frequent_an_emotion_is():
    truth, prediction = ["sad"] * 90 + ["calm"] * 10, ["sad"] * 100
    assert metrics.accuracy(truth, prediction, ["calm", "sad"]) == 0.9
    assert metrics.unweighted_average_recall(truth, prediction, ["calm", "sad"]) == 0.5


def test_an_emotion_that_the_list_lacks_still_counts():
    assert metrics.unweighted_average_recall(["sad", "calm"], ["sad", "calm"], LABELS) == pytest.approx(2 / 3)


def test_where_every_emotion_occurs_it_is_balanced_accuracy():
    generator = np.random.default_rng(0)
    truth, prediction = generator.choice(LABELS, 200), generator.choice(LABELS, 200)
    assert metrics.unweighted_average_recall(truth, prediction, LABELS) == pytest.approx(
        balanced_accuracy_score(truth, prediction)
    )


def test_the_confusion_matrix_keeps_the_order_of_the_labels():
    counts = metrics.confusion_matrix(["sad", "angry", "angry"], ["sad", "sad", "angry"], LABELS)
    assert counts == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_probabilities_survive_large_logits():
    assert metrics.probabilities(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]
