"""The last layer, fitted to the clips of a voice."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from ser.models.adaptation import LinearHead, fit_labelled, match_prior

CLIPS, WIDTH, EMOTIONS = 40, 6, 4


@pytest.fixture
def clips():
    generator = np.random.default_rng(0)
    return generator.standard_normal((CLIPS, WIDTH)) + 0.5, generator.integers(0, EMOTIONS, CLIPS)


@pytest.fixture
def head():
    generator = np.random.default_rng(1)
    return LinearHead(generator.standard_normal((EMOTIONS, WIDTH)), generator.standard_normal(EMOTIONS))


def test_labelled_clips_give_the_minimum_of_the_formula(clips, head):
    """Minimised as well by PyTorch's own optimizer, from the formula in the docstring."""
    pooled, labels = (torch.from_numpy(value) for value in clips)
    start = [torch.from_numpy(value) for value in (head.weight, head.bias)]
    weight, bias = (value.clone().requires_grad_() for value in start)
    scale, strength = pooled.square().sum(dim=1).mean(), 0.05
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        change = scale * (weight - start[0]).square().sum() + (bias - start[1]).square().sum()
        loss = torch.nn.functional.cross_entropy(pooled @ weight.T + bias, labels) + strength / 2 * change
        loss.backward()
        return loss

    optimizer.step(closure)
    found = fit_labelled(head, *clips, strength=strength)
    np.testing.assert_allclose(found.weight, weight.detach(), atol=2e-4)
    np.testing.assert_allclose(found.bias, bias.detach(), atol=2e-4)


def test_the_strength_of_the_penalty_has_no_unit(clips, head):
    pooled, labels = clips
    small = fit_labelled(head, pooled, labels, 0.05)
    large = fit_labelled(LinearHead(head.weight / 100, head.bias), pooled * 100, labels, 0.05)
    np.testing.assert_allclose(large.logits(pooled * 100), small.logits(pooled), atol=1e-3)


def test_a_strong_penalty_leaves_the_head_as_it_is(clips, head):
    for found in (fit_labelled(head, *clips, strength=1e6), match_prior(head, clips[0], np.full(4, 0.25), 1e6)):
        np.testing.assert_allclose(found.logits(clips[0]), head.logits(clips[0]), atol=1e-4)


def test_without_a_penalty_the_emotions_are_predicted_as_often_as_expected(clips, head):
    prior = np.array([0.1, 0.2, 0.3, 0.4])
    found = match_prior(head, clips[0], prior, strength=0.0)
    before, after = (softmax(one.logits(clips[0]), axis=1).mean(axis=0) for one in (head, found))
    assert np.abs(before - prior).max() > 0.05
    np.testing.assert_allclose(after, prior, atol=1e-4)
    assert np.array_equal(found.weight, head.weight)
