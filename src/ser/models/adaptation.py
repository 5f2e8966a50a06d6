"""Adapt the last linear layer of a classifier to clips of one speaker."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Array = npt.NDArray[np.float64]

TEMPERATURE = 3.0
"""Divides the logits of a checkpoint before its last layer is adapted: a network that fits its training speakers
without error is as sure of itself with new ones."""
LABELLED_STRENGTH = 0.003
UNLABELLED_STRENGTH = 0.01
"""Weights of the penalties of `ser adapt`; scripts/README.md says on which speakers these three were chosen."""


@dataclass(frozen=True)
class LinearHead:
    """The last layer of a classifier."""

    weight: Array
    """`(emotions, width)`."""
    bias: Array
    """`(emotions,)`."""

    def softened(self, temperature: float) -> "LinearHead":
        """Return the layer whose logits are those of this one, divided by a temperature (Guo et al. 2017)."""
        return LinearHead(self.weight / temperature, self.bias / temperature)

    def logits(self, pooled: Array) -> Array:
        """Return the logits `(clips, emotions)` of pooled representations `(clips, width)`."""
        scores: Array = pooled @ self.weight.T + self.bias
        return scores


def fit_labelled(head: LinearHead, pooled: Array, labels: npt.NDArray[np.int64], strength: float) -> LinearHead:
    """Train the layer on labelled clips, without leaving its starting point further than they demand.

    Minimises `mean_i CE(y_i, W z_i + b) + strength / 2 (s |W - W0|^2 + |b - b0|^2)`, a convex problem. The penalty is
    L2-SP of Li et al. 2018 (arXiv 1802.01483); `s` is the mean of `|z_i|^2`, so that `strength` has no unit.

    Args:
        head: The layer of the checkpoint, `W0` and `b0`.
        pooled: The pooled representations `z` of the clips, `(clips, width)`.
        labels: The class indices `y`, `(clips,)`.
        strength: The weight of the penalty.
    """
    scale = float(np.square(pooled).sum(axis=1).mean())
    inputs = np.concatenate([pooled / np.sqrt(scale), np.ones((len(pooled), 1))], axis=1)
    start = head.logits(pooled)
    truth = np.eye(len(head.bias))[labels]

    def objective(flat: Array) -> tuple[float, Array]:
        change = flat.reshape(len(head.bias), -1)
        logits = start + inputs @ change.T
        loss = -(truth * log_softmax(logits, axis=1)).sum(axis=1).mean() + strength / 2 * np.square(change).sum()
        slope = (softmax(logits, axis=1) - truth).T @ inputs / len(pooled) + strength * change
        return float(loss), slope.ravel()

    found: Any = minimize(objective, np.zeros(len(head.bias) * inputs.shape[1]), jac=True, method="L-BFGS-B")
    change = found.x.reshape(len(head.bias), -1)
    return LinearHead(head.weight + change[:, :-1] / np.sqrt(scale), head.bias + change[:, -1])


def match_prior(head: LinearHead, pooled: Array, prior: Array, strength: float) -> LinearHead:
    """Shift the bias so that the emotions predicted for unlabelled clips are on average as frequent as expected.

    Minimises `mean_i logsumexp(W z_i + b) - prior . b + strength / 2 |b - b0|^2`, a convex problem. Without the penalty
    the mean of the predicted probabilities is then the prior. Saerens et al. 2002 (Neural Computation 14, 21-41) adjust
    predictions to a new prior by the same shift of log-probabilities, and estimate the prior; here it is given.

    Args:
        head: The layer of the checkpoint, with `b0`.
        pooled: The pooled representations `z` of the clips, `(clips, width)`.
        prior: The expected share of each emotion, `(emotions,)`.
        strength: The weight of the penalty.
    """
    start = head.logits(pooled)

    def objective(shift: Array) -> tuple[float, Array]:
        logits = start + shift
        top = logits.max(axis=1)
        total = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
        value = total.mean() - prior @ shift + strength / 2 * shift @ shift
        return float(value), softmax(logits, axis=1).mean(axis=0) - prior + strength * shift

    found: Any = minimize(objective, np.zeros(len(head.bias)), jac=True, method="L-BFGS-B")
    return LinearHead(head.weight, head.bias + found.x)
