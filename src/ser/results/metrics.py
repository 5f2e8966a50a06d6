"""Metrics of a list of answers: pure functions of truth, prediction and the labels that exist.

`labels` is always given, so that an emotion which a list happens to lack still counts as the protocol says.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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


SUMMARY: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "unweighted_average_recall": unweighted_average_recall,
    "macro_f1": macro_f1,
}
"""The numbers of a list, by name."""


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


def probabilities(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Softmax of logits `(clips, emotions)` in float64; rows sum to one.

    >>> probabilities(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    normalised: np.ndarray[Any, Any] = shifted / shifted.sum(axis=-1, keepdims=True)
    return normalised
