import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from ser.training.losses import balanced_weights, classification_loss

# Two clips, three emotions; both are given 1/2, 1/4, 1/4. The first is of the first emotion, the second of the last.
LOGITS = torch.tensor([[math.log(2.0), 0.0, 0.0], [math.log(2.0), 0.0, 0.0]])
LABELS = torch.tensor([0, 2])


def batch(clips=16, emotions=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(clips, emotions, generator=generator) * 3
    return logits.requires_grad_(), torch.randint(emotions, (clips,), generator=generator)


def by_the_formula(logits, labels, weights, gamma, smoothing):
    """The mean over clips of w (1 - p)^gamma CE(smoothed target, p), in float64, clip by clip."""
    total = 0.0
    for row, label in zip(logits.double(), labels.tolist(), strict=True):
        p = row.softmax(dim=-1)
        target = torch.full_like(p, smoothing / len(p))
        target[label] += 1 - smoothing
        total = total + weights[label] * (1 - p[label]) ** gamma * -(target * p.log()).sum()
    return total / len(labels)


@pytest.mark.parametrize("clips", [1, 3, 8, 33])
def test_without_options_it_is_the_cross_entropy_to_the_last_bit(clips):
    logits, labels = batch(clips)
    assert torch.equal(classification_loss(logits, labels, None, 0.0, 0.0), functional.cross_entropy(logits, labels))


def test_a_weight_multiplies_the_loss_of_its_clips_and_the_mean_is_over_clips():
    loss = classification_loss(LOGITS, LABELS, torch.tensor([3.0, 100.0, 0.5]), 0.0, 0.0)
    assert loss.item() == pytest.approx((3 * math.log(2) + 0.5 * math.log(4)) / 2)


def test_the_focal_factor_is_the_power_of_what_the_right_emotion_lacks():
    loss = classification_loss(LOGITS, LABELS, None, 2.0, 0.0)
    assert loss.item() == pytest.approx(((1 / 2) ** 2 * math.log(2) + (3 / 4) ** 2 * math.log(4)) / 2)


def test_smoothing_spreads_its_share_of_the_target_over_all_emotions():
    loss = classification_loss(LOGITS, LABELS, None, 0.0, 0.3)
    first = 0.8 * math.log(2) + 0.1 * math.log(4) + 0.1 * math.log(4)
    second = 0.1 * math.log(2) + 0.1 * math.log(4) + 0.8 * math.log(4)
    assert loss.item() == pytest.approx((first + second) / 2)


def test_weights_alone_are_torchs_without_its_division_by_the_sum_of_weights():
    logits, labels = batch()
    weights = torch.arange(1.0, 9.0)
    expected = functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / len(labels)
    torch.testing.assert_close(classification_loss(logits, labels, weights, 0.0, 0.0), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradient_of_every_combination_follow_the_formula(weighted, gamma, smoothing):
    logits, labels = batch()
    weights = torch.arange(1.0, 9.0) if weighted else None
    loss = classification_loss(logits, labels, weights, gamma, smoothing)
    expected = by_the_formula(logits, labels, torch.ones(8) if weights is None else weights, gamma, smoothing)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (loss, expected)))


def test_the_mean_of_the_losses_of_micro_batches_is_the_loss_of_the_batch():
    logits, labels = batch(8)
    weights = torch.arange(1.0, 9.0)
    halves = [classification_loss(logits[half], labels[half], weights, 2.0, 0.1) for half in (slice(4), slice(4, 8))]
    torch.testing.assert_close(sum(halves) / 2, classification_loss(logits, labels, weights, 2.0, 0.1))


def test_a_clip_recognised_for_sure_has_a_finite_gradient():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    classification_loss(logits, torch.tensor([0]), None, 0.5, 0.1).backward()
    assert torch.isfinite(logits.grad).all()


def test_under_autocast_the_loss_is_computed_in_float32():
    logits, labels = batch()
    half = logits.detach().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = classification_loss(half, labels, None, 2.0, 0.1)
    assert loss.dtype is torch.float32
    assert torch.equal(loss, classification_loss(half.float(), labels, None, 2.0, 0.1))


def test_balanced_weights_are_those_of_scikit_learn():
    labels = [0] * 6 + [1] * 3 + [2] * 1
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3).tolist() == pytest.approx(expected.tolist())


def test_the_mean_weight_over_the_clips_is_one_and_an_absent_emotion_has_none():
    labels = [0] * 6 + [3] * 2
    weights = balanced_weights(labels, 5)
    assert weights.tolist() == pytest.approx([8 / 12, 0, 0, 2, 0])
    assert weights[labels].mean().item() == pytest.approx(1)
