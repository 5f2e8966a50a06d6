"""The metrics of predictions: each is defined once, beside its label in reports and its name on the hub.

Metrics of predicted labels are functions of confusion counts `(..., C, C)`, so that one definition serves a split and
the thousands of resamples behind an interval. A label that does not occur in the truth counts with a recall of 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """A metric and what reports, the history of training and the hub need to know of it."""

    compute: Callable[..., Any]
    label: str
    greater_is_better: bool = True
    in_history: bool = False
    """Whether history.csv has a column of it."""
    hub_name: str = ""
    """Its name on the Hugging Face hub; without one it is left out of the model card's index of results."""


COUNT_METRICS: dict[str, Metric] = {}
"""Metrics of confusion counts, by the name of their function; all between 0 and 1, and best at 1."""
PROBABILITY_METRICS: dict[str, Metric] = {}
"""Metrics of probabilities, by the name of their function; best at 0."""


def register(metrics: dict[str, Metric], label: str, **properties: Any) -> Callable[[Function], Function]:
    """Add a function to `metrics` under its own name."""

    def add(function: Function) -> Function:
        metrics[function.__name__] = Metric(function, label, **properties)
        return function

    return add


@register(COUNT_METRICS, "Accuracy", in_history=True, hub_name="accuracy")
def accuracy(counts: Array) -> Array:
    """Share of right predictions; in this field also weighted accuracy (WA): `(1/N) sum_i [t_i = p_i]`.

    >>> float(accuracy(np.array([[1, 0], [1, 2]])))
    0.75
    """
    return np.asarray(true_positives(counts).sum(axis=-1) / counts.sum(axis=(-2, -1)))


@register(COUNT_METRICS, "Unweighted average recall", in_history=True, hub_name="recall")
def unweighted_average_recall(counts: Array) -> Array:
    """Mean of the recalls of the labels (UAR): `(1/C) sum_c TP_c / (TP_c + FN_c)`.

    Chance is `1/C`, however uneven the labels are. Schuller et al. 2009, Interspeech Emotion Challenge.

    >>> float(unweighted_average_recall(np.array([[0, 1], [0, 3]])))
    0.5
    """
    return np.asarray(divide(true_positives(counts), counts.sum(axis=-1)).mean(axis=-1))


@register(COUNT_METRICS, "Macro F1", in_history=True, hub_name="f1")
def macro_f1(counts: Array) -> Array:
    """Mean of the F1 scores of the labels: `(1/C) sum_c 2 P_c R_c / (P_c + R_c)`.

    >>> float(macro_f1(np.array([[1, 0], [0, 1]])))
    1.0
    """
    return np.asarray(f1_scores(counts).mean(axis=-1))


@register(COUNT_METRICS, "Weighted F1")
def weighted_f1(counts: Array) -> Array:
    """Mean of the F1 scores of the labels, weighted by their frequency: `(1/N) sum_c n_c 2 P_c R_c / (P_c + R_c)`.

    >>> round(float(weighted_f1(np.array([[0, 1], [0, 3]]))), 3)
    0.643
    """
    supports = counts.sum(axis=-1)
    return np.asarray((f1_scores(counts) * supports).sum(axis=-1) / supports.sum(axis=-1))


def true_positives(counts: Array) -> Array:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def f1_scores(counts: Array) -> Array:
    """Compute the F1 score of each label, `(..., C)`."""
    return divide(2 * true_positives(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def divide(part: Array, whole: Array) -> Array:
    """Compute `part / whole`, and 0 where `whole` is 0, as scikit-learn's `zero_division=0` does."""
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)


def confusion_matrix(truth: Sequence[Any], prediction: Sequence[Any], labels: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Count `(truth, prediction)`, both in the order of `labels`.

    >>> confusion_matrix(["sad", "calm"], ["sad", "sad"], ["calm", "sad"]).tolist()
    [[0, 1], [0, 1]]
    """
    index = {label: position for position, label in enumerate(labels)}
    counts = np.zeros((len(index), len(index)), dtype=np.int64)
    np.add.at(counts, ([index[label] for label in truth], [index[label] for label in prediction]), 1)
    return counts


def summarize(counts: npt.NDArray[Any]) -> dict[str, float]:
    """Compute all of `COUNT_METRICS` of one confusion matrix.

    >>> summarize(confusion_matrix(["sad", "calm"], ["sad", "sad"], ["calm", "sad"]))["accuracy"]
    0.5
    """
    return {name: float(metric.compute(counts)) for name, metric in COUNT_METRICS.items()}


def one_hot(truth: Sequence[Any], labels: Sequence[Any]) -> Array:
    """Encode the true labels as rows `(clips, labels)` of 0 and 1."""
    index = {label: position for position, label in enumerate(labels)}
    rows: Array = np.eye(len(labels))[[index[label] for label in truth]]
    return rows


@register(PROBABILITY_METRICS, "Cross-entropy", greater_is_better=False)
def cross_entropy(truth: Sequence[Any], probabilities: Array, labels: Sequence[Any]) -> float:
    """Mean of minus the log of the probability of the truth, in nats: `-(1/N) sum_i log p_i(t_i)`; 0 is best.

    Uniform probabilities have `log C`. Probabilities are clipped to the resolution of float64 at 0 alone, where
    `sklearn.metrics.log_loss` clips at 1 as well, warns of rounding, and wants the labels sorted.

    >>> round(cross_entropy(["sad", "calm"], np.array([[0.5, 0.5], [0.5, 0.5]]), ["calm", "sad"]), 4)
    0.6931
    """
    right = (probabilities * one_hot(truth, labels)).sum(axis=-1)
    return float(-np.log(np.maximum(right, np.finfo(np.float64).eps)).mean())


class Bin(NamedTuple):
    """The clips whose highest probability lies in `(low, high]`."""

    low: float
    high: float
    clips: int
    confidence: float
    """Mean of their highest probability."""
    accuracy: float
    """Share of them that is right."""


def bin_by_confidence(truth: Sequence[Any], probabilities: Array, labels: Sequence[Any], bins: int = 15) -> list[Bin]:
    """Compare accuracy with confidence in `bins` bins of equal width; empty bins are left out.

    >>> bin_by_confidence(["sad", "calm"], np.array([[0.1, 0.9], [0.1, 0.9]]), ["calm", "sad"], bins=2)
    [Bin(low=0.5, high=1.0, clips=2, confidence=0.9, accuracy=0.5)]
    """
    confidence = probabilities.max(axis=-1)
    right = one_hot(truth, labels)[np.arange(len(probabilities)), probabilities.argmax(axis=-1)]
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    filled = []
    for number in np.unique(index):
        chosen = index == number
        means = float(confidence[chosen].mean()), float(right[chosen].mean())
        filled.append(Bin(float(number / bins), float((number + 1) / bins), int(chosen.sum()), *means))
    return filled


@register(PROBABILITY_METRICS, "Expected calibration error", greater_is_better=False)
def expected_calibration_error(truth: Sequence[Any], probabilities: Array, labels: Sequence[Any]) -> float:
    """Mean distance between confidence and accuracy over 15 bins of confidence: `sum_b (n_b / N) |acc_b - conf_b|`.

    Guo et al. 2017 (arXiv 1706.04599), equation 3; 0 is best.

    >>> round(expected_calibration_error(["sad", "calm"], np.array([[0.1, 0.9], [0.1, 0.9]]), ["calm", "sad"]), 3)
    0.4
    """
    bins = bin_by_confidence(truth, probabilities, labels)
    return sum(b.clips * abs(b.accuracy - b.confidence) for b in bins) / len(probabilities)


@register(PROBABILITY_METRICS, "Brier score", greater_is_better=False)
def brier_score(truth: Sequence[Any], probabilities: Array, labels: Sequence[Any]) -> float:
    """Mean squared distance of probabilities from the truth: `(1/N) sum_i sum_c (p_ic - [t_i = c])^2`; 0 best, 2 worst.

    Brier 1950, Monthly Weather Review 78, in its original form over all labels.

    >>> brier_score(["sad"], np.array([[0.5, 0.5]]), ["calm", "sad"])
    0.5
    """
    return float(((probabilities - one_hot(truth, labels)) ** 2).sum(axis=-1).mean())
