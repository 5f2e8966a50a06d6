"""Losses for imbalanced emotions: class weights, focal factor, label smoothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional


@dataclass(frozen=True)
class Targets:
    """What the clips of a batch are trained towards, `(B,)` each."""

    labels: torch.Tensor
    """Class indices; of a mixed clip the label with the larger share."""
    weights: torch.Tensor | None = None
    """Factors of the clips in the mean; None: all 1."""
    partner_labels: torch.Tensor | None = None
    """Class indices of the clips that were mixed in; None: no clip is mixed."""
    partner_shares: torch.Tensor | None = None
    """Their shares."""

    @property
    def are_labels(self) -> bool:
        """Whether there is nothing but labels."""
        return self.weights is None and self.partner_labels is None


def mixed_loss(loss: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor], targets: Targets) -> torch.Tensor:
    """Return the mean of `(1 - s) L(y) + s L(y')` over the clips, with share `s` of the label `y'` that was mixed in.

    Zhang et al. 2018 (arXiv 1710.09412), for any loss `L` of a clip and its label.

    Args:
        loss: Returns the mean loss of the batch for labels `(B,)` and factors of the clips `(B,)`.
        targets: The labels.
    """
    if targets.partner_labels is None or targets.partner_shares is None:
        return loss(targets.labels, targets.weights)
    shares = targets.partner_shares
    weights = torch.ones_like(shares) if targets.weights is None else targets.weights
    return loss(targets.labels, weights * (1 - shares)) + loss(targets.partner_labels, weights * shares)


def classification_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: torch.Tensor | None,
    focal_gamma: float,
    label_smoothing: float,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean over clips of a weighted cross-entropy: `1/B sum_i w_y (1 - p_y)^gamma CE(target_i, p_i)`.

    Args:
        logits: `(B, C)`, of any floating type; `p` is their softmax.
        labels: `(B,)` class indices `y`.
        class_weights: `(C,)` factors `w`; None: all 1.
        focal_gamma: The exponent of Lin et al. 2017 (arXiv 1708.02002, equation 4); 0: no factor.
        label_smoothing: The `eps` of Szegedy et al. 2016 (arXiv 1512.00567, section 7) with the target
            `(1 - eps) onehot(y) + eps / C`; 0: the one-hot target.
        weights: `(B,)` factors of the clips in the mean; None: all 1.

    Returns:
        A float32 scalar; with None, 0 and 0 it equals `torch.nn.functional.cross_entropy`.
    """
    logits = logits.float()  # softmax in float32, also under autocast
    if class_weights is None and focal_gamma == 0 and weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    each = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    each = each * focal_factor(logits, labels, focal_gamma)
    if class_weights is not None:
        # PyTorch would weight each term of the smoothed target by its own class; here the weight is that of the clip.
        each = each * class_weights[labels]
    if weights is not None:
        each = each * weights
    # Divided by the number of clips and not, as in PyTorch, by the sum of their weights: that sum differs between
    # micro-batches, and accumulating them would no longer give the gradient of one large batch.
    return each.mean()


def focal_factor(logits: torch.Tensor, labels: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return `(1 - p_y)^gamma` `(B,)` from logits `(B, C)`; it is small for a clip that is already recognised."""
    right = logits.softmax(dim=-1).gather(1, labels[:, None])[:, 0]
    # For gamma < 1 the slope is infinite at zero, which float32 reaches where p_y rounds to 1.
    return (1 - right).clamp(min=torch.finfo(right.dtype).eps) ** gamma


def balanced_weights(labels: Sequence[int] | npt.NDArray[np.int64], emotions: int) -> torch.Tensor:
    """Return the class weights `N / (C n_c)`, `(emotions,)` float32, which give all emotions the same total weight.

    `C` is the number of emotions that occur, so that the mean weight over the `N` clips is 1 and the learning rate
    keeps its meaning. An emotion that does not occur has the weight 0, which is never used.
    """
    counts = torch.bincount(torch.as_tensor(labels), minlength=emotions)
    present = counts > 0
    return present * len(labels) / (present.sum() * counts.clamp(min=1))
