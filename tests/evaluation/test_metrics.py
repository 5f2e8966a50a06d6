import audmetric
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score

from ser.evaluation import metrics
from ser.models.outputs import softmax

LABELS = ["angry", "calm", "sad"]


def summarize(truth, prediction, labels=LABELS):
    return metrics.summarize(metrics.confusion_matrix(truth, prediction, labels))


def test_unweighted_average_recall_ignores_how_frequent_an_emotion_is():
    summary = summarize(["sad"] * 90 + ["calm"] * 10, ["sad"] * 100, ["calm", "sad"])
    assert (summary["accuracy"], summary["unweighted_average_recall"]) == (0.9, 0.5)


def test_an_emotion_that_the_split_lacks_still_counts():
    assert summarize(["sad", "calm"], ["sad", "calm"])["unweighted_average_recall"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(50))
def test_the_metrics_are_those_of_scikit_learn_to_the_last_bits(seed):
    generator = np.random.default_rng(seed)
    labels = list(range(generator.integers(2, 14)))
    # Some labels occur in the truth alone, in the predictions alone, or nowhere.
    truth, prediction = generator.choice(labels[:-1], 30), generator.choice(labels[1:], 30)
    options = {"labels": labels, "zero_division": 0}
    assert summarize(truth, prediction, labels) == pytest.approx(
        {
            "accuracy": accuracy_score(truth, prediction),
            "unweighted_average_recall": recall_score(truth, prediction, average="macro", **options),
            "macro_f1": f1_score(truth, prediction, average="macro", **options),
            "weighted_f1": f1_score(truth, prediction, average="weighted", **options),
        },
        rel=1e-15,
    )


def test_a_metric_of_many_matrices_is_that_of_each():
    counts = np.random.default_rng(0).integers(0, 5, size=(20, 3, 3))
    for metric in metrics.COUNT_METRICS.values():
        assert metric.compute(counts).tolist() == [float(metric.compute(one)) for one in counts]


def test_a_metric_is_registered_with_its_label_and_direction():
    registered = {**metrics.COUNT_METRICS, **metrics.PROBABILITY_METRICS}
    assert registered["brier_score"].label == "Brier score"
    assert all(metric.greater_is_better for metric in metrics.COUNT_METRICS.values())
    assert not any(metric.greater_is_better for metric in metrics.PROBABILITY_METRICS.values())


def test_the_confusion_matrix_keeps_the_order_of_the_labels():
    counts = metrics.confusion_matrix(["sad", "angry", "angry"], ["sad", "sad", "angry"], LABELS)
    assert counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_probabilities_survive_large_logits():
    assert softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]


@pytest.fixture
def answers():
    """300 unevenly distributed truths with the probabilities of a mediocre model."""
    generator = np.random.default_rng(1)
    truth = generator.choice(LABELS, 300, p=[0.6, 0.3, 0.1])
    logits = generator.normal(size=(300, 3)) + 1.5 * metrics.one_hot(truth, LABELS)
    return truth, softmax(logits)


def test_the_metrics_are_those_of_audmetric(answers):
    truth, shares = answers
    prediction = np.array(LABELS)[shares.argmax(axis=1)]
    ours = summarize(truth, prediction)
    assert ours["accuracy"] == pytest.approx(audmetric.accuracy(truth, prediction))
    assert ours["unweighted_average_recall"] == pytest.approx(
        audmetric.unweighted_average_recall(truth, prediction, labels=LABELS)
    )
    assert ours["macro_f1"] == pytest.approx(audmetric.unweighted_average_fscore(truth, prediction, labels=LABELS))


def test_cross_entropy_is_scikit_learns_log_loss(answers):
    truth, shares = answers
    assert metrics.cross_entropy(truth, shares, LABELS) == pytest.approx(log_loss(truth, shares, labels=LABELS))


def test_a_certain_mistake_costs_much_but_not_infinitely():
    assert 30 < metrics.cross_entropy(["sad"], np.array([[1.0, 0.0, 0.0]]), LABELS) < 40


def test_the_brier_score_of_two_labels_is_twice_the_binary_one():
    from sklearn.metrics import brier_score_loss

    generator = np.random.default_rng(2)
    truth, share = generator.choice(["calm", "sad"], 50), generator.random(50)
    shares = np.stack([1 - share, share], axis=1)
    expected = brier_score_loss(truth, share, pos_label="sad")
    assert metrics.brier_score(truth, shares, ["calm", "sad"]) == pytest.approx(2 * expected)


def test_the_bins_of_the_reliability_diagram_hold_every_clip_once(answers):
    truth, shares = answers
    bins = metrics.bin_by_confidence(truth, shares, LABELS)
    assert sum(b.clips for b in bins) == 300
    assert all(b.low < b.confidence <= b.high for b in bins)
    right = sum(b.clips * b.accuracy for b in bins)
    assert right == pytest.approx((np.array(LABELS)[shares.argmax(axis=1)] == truth).sum())


def test_a_model_that_is_as_often_right_as_it_is_sure_has_no_calibration_error():
    truth = ["sad"] * 8 + ["calm"] * 2
    shares = np.tile([0.1, 0.1, 0.8], (10, 1))
    assert metrics.expected_calibration_error(truth, shares, LABELS) == pytest.approx(0)
    assert metrics.expected_calibration_error(truth[::-1][:2], shares[:2], LABELS) == pytest.approx(0.8)
