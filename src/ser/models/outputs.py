"""The labels of a classifier, and the activation that turns its logits into probabilities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ser.errors import UserError
from ser.models.arrays import Logits, Probabilities

if TYPE_CHECKING:  # what reads the outputs of an exported model needs no transformers
    from transformers import PretrainedConfig

MULTI_LABEL, REGRESSION = "multi_label_classification", "regression"


def softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """Compute the softmax of logits `(clips, labels)` in float64; rows sum to one.

    >>> softmax(np.array([[0.0, 0.0]], dtype=np.float32)).tolist()
    [[0.5, 0.5]]
    """
    exact = logits.astype(np.float64)
    exponentials = np.exp(exact - exact.max(axis=-1, keepdims=True))  # what scipy.special.softmax computes
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def sigmoid(logits: Logits) -> npt.NDArray[np.float64]:
    """Compute the probability of each label independently, in float64; rows need not sum to one.

    >>> sigmoid(np.array([[0.0, -1000.0]], dtype=np.float32)).tolist()
    [[0.5, 0.0]]
    """
    from scipy import special  # which few heads need: a tenth of a second of imports

    return np.asarray(special.expit(logits.astype(np.float64)))


def scale_by_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return `softmax(z / T)` for `p = softmax(z)`, `(clips, emotions)`; the predicted emotions stay.

    Guo et al. 2017, On Calibration of Modern Neural Networks (arXiv 1706.04599), section 4.2.

    >>> scale_by_temperature(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    return softmax(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) / temperature)


ACTIVATIONS: dict[str, Callable[[Logits], npt.NDArray[np.float64]]] = {"softmax": softmax, "sigmoid": sigmoid}


@dataclass(frozen=True)
class Outputs:
    """The labels in the order of the logits, and the activation that their probabilities need."""

    labels: list[str]
    activation: str

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        """`(clips, labels)`, as `transformers.pipeline` computes them."""
        return ACTIVATIONS[self.activation](logits)


def read_outputs(settings: "PretrainedConfig", source: str, stamp: dict[str, Any]) -> Outputs:
    """Read what the logits of a checkpoint mean from its config.

    Args:
        settings: of a checkpoint with a head.
        source: what the checkpoint is called in errors.
        stamp: what `ser train` wrote into it. Such a head was trained with cross-entropy, though its config may still
            name the problem of the encoder it was made from.

    Raises:
        UserError: the head gives no probabilities, or its labels do not tell them apart.
    """
    labels = [str(settings.id2label[index]) for index in sorted(settings.id2label)]
    if sorted(settings.id2label) != list(range(len(labels))):
        raise UserError(f"{source}: id2label of its config.json does not number the labels from 0 without a gap")
    if len(set(labels)) < len(labels) or not all(label.isprintable() and label.strip() for label in labels):
        raise UserError(f"{source}: the labels of its config.json must be printable names, each once: {labels}")
    problem = None if stamp else settings.problem_type
    if problem == REGRESSION:
        raise UserError(
            f"{source}: a regression head ({', '.join(labels)}): its outputs are values, not probabilities of emotions"
        )
    if problem != MULTI_LABEL and len(labels) < 2:
        raise UserError(f"{source}: a head of one label ({labels[0]}) always gives it a probability of 1")
    return Outputs(labels, "sigmoid" if problem == MULTI_LABEL else "softmax")
