"""Several checkpoints that predict together, and each of them beside the ensemble."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ser.config import Ensemble
from ser.evaluation.intervals import measure_recall
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.significance import adjust_holm, mcnemar_test, permutation_test
from ser.models.arrays import Probabilities

TIE = 1e-6
"""Weight of the mean beside votes, so that it breaks ties and changes nothing else."""


def combine(each: Sequence[Probabilities], ensemble: Ensemble) -> tuple[Probabilities, npt.NDArray[np.intp]]:
    """Return the probabilities of the ensemble `(clips, emotions)` and the index of each predicted emotion.

    The probabilities are the mean over the checkpoints. With `vote` they are the shares of the checkpoints that
    predict an emotion, and the mean breaks ties.
    """
    mean: Probabilities = np.mean(each, axis=0)
    if ensemble is Ensemble.mean:
        return mean, mean.argmax(axis=1)
    votes: Probabilities = np.mean([np.eye(mean.shape[1])[one.argmax(axis=1)] for one in each], axis=0)
    return votes, np.where(votes == votes.max(axis=1, keepdims=True), mean, -1.0).argmax(axis=1)


def combine_for_scores(each: Sequence[Probabilities], ensemble: Ensemble) -> Probabilities:
    """Return probabilities `(clips, emotions)` whose largest one is the prediction of `combine`, also after a tie.

    Those of a single checkpoint stay as they are.
    """
    if len(each) == 1:
        return each[0]
    combined, best = combine(each, ensemble)
    if ensemble is Ensemble.mean:
        return combined
    return (combined + TIE * np.eye(combined.shape[1])[best]) / (1 + TIE)


class MemberRow(NamedTuple):
    """A checkpoint of an ensemble, by itself."""

    name: str
    accuracy: float
    unweighted_average_recall: float
    interval_low: float
    """95 %, of the UAR."""
    interval_high: float
    difference: float
    """Accuracy of the ensemble minus that of the checkpoint."""
    p: float
    """Of the paired test of the ensemble against the checkpoint: the permutation test over speakers where the protocol
    is speaker-independent, McNemar's over clips otherwise."""
    adjusted: float
    """The same after Holm over the checkpoints."""


def compare_members(
    ensemble: SplitPredictions, each: Mapping[str, Probabilities], units: Sequence[str], independent: bool
) -> list[MemberRow]:
    """Compare an ensemble with each of its checkpoints.

    Args:
        ensemble: the predictions of the ensemble.
        each: by name, the probabilities of a checkpoint for the same clips, `(clips, emotions)`.
        units: the speaker or the path of each clip: what the intervals resample.
        independent: whether the units are speakers, which the tests then take as wholes.
    """
    truth, emotions = ensemble.truth, list(ensemble.emotions)
    right = [label == known for label, known in zip(ensemble.labels, truth, strict=True)]
    rows = []
    for name, probabilities in each.items():
        labels = [emotions[index] for index in probabilities.argmax(axis=-1)]
        own = [label == known for label, known in zip(labels, truth, strict=True)]
        p = permutation_test(right, own, units) if independent else mcnemar_test(right, own)
        difference = float(np.mean(right) - np.mean(own))
        rows.append((name, *measure_recall(truth, labels, emotions, units), difference, p))
    return [
        MemberRow(*row, adjusted) for row, adjusted in zip(rows, adjust_holm([row[-1] for row in rows]), strict=True)
    ]
