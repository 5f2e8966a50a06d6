"""Temperature scaling: one number, fitted on held-out speakers, makes probabilities as large as they should be.

Guo et al. 2017, On Calibration of Modern Neural Networks (arXiv 1706.04599), section 4.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from ser.evaluation.metrics import cross_entropy
from ser.models.arrays import Probabilities
from ser.models.outputs import scale_by_temperature

LIMITS = (0.05, 20.0)
"""Of a temperature: without them a split on which every prediction is right would have 0."""


@dataclass(frozen=True)
class Calibration:
    """The temperatures behind the probabilities of a report, and what they changed."""

    temperatures: Sequence[float]
    """Of each fold."""
    clips: int
    """On which they were fitted, in all folds."""
    before: Mapping[str, float]
    """`PROBABILITY_METRICS` of the scored split without them."""


def fit_temperature(truth: Sequence[str], probabilities: Probabilities, emotions: Sequence[str]) -> float:
    """Return the temperature with the lowest cross-entropy (negative log-likelihood), found over its logarithm.

    Args:
        truth: the true emotion of each clip.
        probabilities: `(clips, emotions)`.
        emotions: in the order of the columns.
    """

    def loss(logarithm: float) -> float:
        return cross_entropy(truth, scale_by_temperature(probabilities, float(np.exp(logarithm))), emotions)

    found = optimize.minimize_scalar(loss, bounds=np.log(LIMITS), method="bounded")
    return float(np.exp(found.x))
