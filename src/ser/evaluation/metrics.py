"""Metrics of a list of answers: pure functions of truth, prediction and the labels that exist.

`labels` is always given, so that an emotion which a list happens to lack still counts as the protocol says.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics


def accuracy(truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any]) -> float:
    """Share of right answers; in this field also weighted accuracy (WA): `(1/N) sum_i [t_i = p_i]`.

    >>> accuracy(["sad", "sad", "calm", "sad"], ["sad", "calm", "calm", "sad"], ["calm", "sad"])
    0.75
    """
    return float(metrics.accuracy_score(truth, prediction))


def unweighted_average_recall(truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any]) -> float:
    """Mean over the labels of the share of each that is found (UAR): `(1/C) sum_c TP_c / (TP_c + FN_c)`.

    Chance is `1/C`, however uneven the emotions are. Schuller et al. 2009, Interspeech Emotion Challenge.

    >>> unweighted_average_recall(["sad", "sad", "sad", "calm"], ["sad", "sad", "sad", "sad"], ["calm", "sad"])
    0.5
    """
    return float(metrics.recall_score(truth, prediction, labels=list(labels), average="macro", zero_division=0))


def macro_f1(truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any]) -> float:
    """Mean over the labels of the harmonic mean of precision and recall: `(1/C) sum_c 2 P_c R_c / (P_c + R_c)`.

    >>> macro_f1(["sad", "calm"], ["sad", "calm"], ["calm", "sad"])
    1.0
    """
    return float(metrics.f1_score(truth, prediction, labels=list(labels), average="macro", zero_division=0))


def weighted_f1(truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any]) -> float:
    """Mean over the labels of F1, each counted as often as it is true: `(1/N) sum_c n_c 2 P_c R_c / (P_c + R_c)`.

    >>> round(weighted_f1(["sad", "sad", "sad", "calm"], ["sad", "sad", "sad", "sad"], ["calm", "sad"]), 3)
    0.643
    """
    return float(metrics.f1_score(truth, prediction, labels=list(labels), average="weighted", zero_division=0))


SUMMARY: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "unweighted_average_recall": unweighted_average_recall,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
}
"""The numbers of a list of answers, by name; all between 0 and 1, and best at 1."""


def summary(truth: Any, prediction: Any, labels: Sequence[Any]) -> dict[str, float]:
    """All of `SUMMARY` at once.

    >>> summary(["sad", "calm"], ["sad", "sad"], ["calm", "sad"])["accuracy"]
    0.5
    """
    return {name: metric(truth, prediction, labels) for name, metric in SUMMARY.items()}


def confusion_matrix(truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any]) -> list[list[int]]:
    """Counts `(truth, prediction)`, both in the order of `labels`.

    >>> confusion_matrix(["sad", "calm"], ["sad", "sad"], ["calm", "sad"])
    [[0, 1], [0, 1]]
    """
    counts: list[list[int]] = metrics.confusion_matrix(truth, prediction, labels=list(labels)).tolist()
    return counts


def of_truth(truth: Sequence[Any], labels: Sequence[Any]) -> npt.NDArray[np.float64]:
    """One-hot rows `(clips, labels)` of the true labels."""
    places = {label: place for place, label in enumerate(labels)}
    rows: npt.NDArray[np.float64] = np.eye(len(labels))[[places[label] for label in truth]]
    return rows


def cross_entropy(truth: Sequence[Any], shares: npt.NDArray[np.float64], labels: Sequence[Any]) -> float:
    """Mean of minus the log of the probability of the truth, in nats: `-(1/N) sum_i log p_i(t_i)`; 0 is best.

    A model that knows nothing has `log C`, a confident mistake costs without bound (to the resolution of float64).

    >>> round(cross_entropy(["sad", "calm"], np.array([[0.5, 0.5], [0.5, 0.5]]), ["calm", "sad"]), 4)
    0.6931
    """
    of_the_truth = (shares * of_truth(truth, labels)).sum(axis=-1)
    return float(-np.log(np.maximum(of_the_truth, np.finfo(np.float64).eps)).mean())


def brier_score(truth: Sequence[Any], shares: npt.NDArray[np.float64], labels: Sequence[Any]) -> float:
    """Mean squared distance of probabilities from the truth: `(1/N) sum_i sum_c (p_ic - [t_i = c])^2`; 0 best, 2 worst.

    Brier 1950, Monthly Weather Review 78, in its original form over all labels.

    >>> brier_score(["sad"], np.array([[0.5, 0.5]]), ["calm", "sad"])
    0.5
    """
    return float(((shares - of_truth(truth, labels)) ** 2).sum(axis=-1).mean())


class Bin(NamedTuple):
    """The clips whose highest probability lies in `(low, high]`."""

    low: float
    high: float
    clips: int
    confidence: float
    """Mean of their highest probability."""
    accuracy: float
    """Share of them that is right."""


def reliability(
    truth: Sequence[Any], shares: npt.NDArray[np.float64], labels: Sequence[Any], bins: int = 15
) -> list[Bin]:
    """How often the model is right against how sure it is, in `bins` bins of equal width without the empty ones.

    >>> reliability(["sad", "calm"], np.array([[0.1, 0.9], [0.1, 0.9]]), ["calm", "sad"], bins=2)
    [Bin(low=0.5, high=1.0, clips=2, confidence=0.9, accuracy=0.5)]
    """
    confidence = shares.max(axis=-1)
    right = of_truth(truth, labels)[np.arange(len(shares)), shares.argmax(axis=-1)]
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for number in np.unique(place):
        chosen = place == number
        means = float(confidence[chosen].mean()), float(right[chosen].mean())
        found.append(Bin(float(number / bins), float((number + 1) / bins), int(chosen.sum()), *means))
    return found


def expected_calibration_error(truth: Sequence[Any], shares: npt.NDArray[np.float64], labels: Sequence[Any]) -> float:
    """Mean distance between confidence and accuracy over 15 bins of confidence: `sum_b (n_b / N) |acc_b - conf_b|`.

    Guo et al. 2017 (arXiv 1706.04599), equation 3; 0 is best.

    >>> round(expected_calibration_error(["sad", "calm"], np.array([[0.1, 0.9], [0.1, 0.9]]), ["calm", "sad"]), 3)
    0.4
    """
    return sum(b.clips * abs(b.accuracy - b.confidence) for b in reliability(truth, shares, labels)) / len(shares)


OF_PROBABILITIES: dict[str, Callable[..., float]] = {
    "cross_entropy": cross_entropy,
    "expected_calibration_error": expected_calibration_error,
    "brier_score": brier_score,
}
"""The numbers of a list's probabilities, by name; best at 0."""
