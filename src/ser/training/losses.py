"""Losses for imbalanced emotions: class weights, focal factor, label smoothing."""

from collections.abc import Sequence

import torch
from torch.nn import functional


def classification_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: torch.Tensor | None,
    focal_gamma: float,
    label_smoothing: float,
) -> torch.Tensor:
    """The mean over clips of a weighted cross-entropy: `1/B sum_i w_y (1 - p_y)^gamma CE(target_i, p_i)`.

    Args:
        logits: `(B, C)`, of any floating type; `p` is their softmax.
        labels: `(B,)` class indices `y`.
        class_weights: `(C,)` factors `w`; None: all 1.
        focal_gamma: the exponent of Lin et al. 2017 (arXiv 1708.02002, equation 4); 0: no factor.
        label_smoothing: the `eps` of Szegedy et al. 2016 (arXiv 1512.00567, section 7), whose target is
            `(1 - eps) onehot(y) + eps / C`; 0: the one-hot target.

    Returns:
        A float32 scalar; with None, 0 and 0 that of `torch.nn.functional.cross_entropy`.
    """
    logits = logits.float()  # softmax in float32, whatever autocast computed them in
    if class_weights is None and focal_gamma == 0:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    each = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    each = each * focal_factor(logits, labels, focal_gamma)
    if class_weights is not None:
        # torch would weigh each term of the smoothed target by its own class; here a weight belongs to a clip.
        each = each * class_weights[labels]
    # Divided by the clips, not by the sum of their weights as torch does: that sum differs from micro-batch to
    # micro-batch, and accumulating them would no longer give the gradient of one large batch.
    return each.mean()


def focal_factor(logits: torch.Tensor, labels: torch.Tensor, gamma: float) -> torch.Tensor:
    """`(1 - p_y)^gamma` `(B,)`: small for a clip that is already recognised, from logits `(B, C)`."""
    right = logits.softmax(dim=-1).gather(1, labels[:, None])[:, 0]
    # The slope of a power below 1 is infinite at zero, which float32 reaches for a clip that is recognised for sure.
    return (1 - right).clamp(min=torch.finfo(right.dtype).eps) ** gamma


def balanced_weights(labels: Sequence[int], emotions: int) -> torch.Tensor:
    """`N / (C n_c)` for each of the `emotions`, `(emotions,)` float32: each emotion weighs as much as any other.

    `C` counts the emotions that occur, so that the mean weight over the `N` clips is 1 and the learning rate keeps its
    meaning; one that does not occur has the weight 0, which no clip asks for.
    """
    counts = torch.bincount(torch.tensor(labels), minlength=emotions)
    present = counts > 0
    return present * len(labels) / (present.sum() * counts.clamp(min=1))
