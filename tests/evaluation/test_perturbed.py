import numpy as np
import pytest
from helpers.toys import clips

from ser.evaluation import perturbed
from ser.evaluation.perturbed import AT_ONCE, SPEEDS, perturb, predict_with_copies


def voice(seconds=1.0, seed=0):
    noise = np.random.default_rng(seed).standard_normal(int(16000 * seconds))
    return np.rint(2000 * noise).astype(np.int16)


def describe(some):
    """Numbers that depend on all samples of each clip, as probabilities do."""
    return np.array([[len(clip), float(np.abs(clip.astype(float)).mean())] for clip in some])


def test_no_copies_are_the_prediction_of_the_clips_themselves():
    some = clips(0.5, 0.8)
    assert predict_with_copies(describe, some, 0).tolist() == describe(some).tolist()


def test_the_mean_is_over_the_clip_and_its_copies():
    some = clips(0.5, 0.8)
    expected = np.mean([describe(some), *(describe([perturb(c, n) for c in some]) for n in (1, 2, 3))], axis=0)
    assert np.allclose(predict_with_copies(describe, some, 3), expected)


def test_a_prediction_depends_neither_on_the_other_clips_nor_on_their_order(monkeypatch):
    some = [voice(seconds, seed) for seed, seconds in enumerate((0.5, 0.8, 0.3, 0.7))]
    together = predict_with_copies(describe, some, 2)
    assert predict_with_copies(describe, some[::-1], 2).tolist() == together[::-1].tolist()
    monkeypatch.setattr(perturbed, "AT_ONCE", 1)
    assert predict_with_copies(describe, some, 2).tolist() == together.tolist()
    assert AT_ONCE > 1


def test_copies_differ_from_the_clip_and_from_each_other_as_described():
    one = voice()
    copies = [perturb(one, number) for number in range(1, 30)]
    lengths = np.array([len(copy) for copy in copies]) / len(one)
    assert len(set(lengths)) > 5
    assert lengths.min() >= 1 / SPEEDS[-1] - 1e-3
    assert lengths.max() <= 1 / SPEEDS[0] + 1e-3
    levels = [20 * np.log10(describe([copy])[0, 1] / describe([one])[0, 1]) for copy in copies]
    assert min(levels) == pytest.approx(-6, abs=1.5)
    assert max(levels) == pytest.approx(6, abs=1.5)
    assert (perturb(one, 1) == copies[0]).all(), "the same copy each time"


def test_a_slight_noise_is_added_where_speed_stays(monkeypatch):
    monkeypatch.setattr(perturbed, "SPEEDS", (1.0,))
    monkeypatch.setattr(perturbed, "LEVELS", (0.0, 0.0))
    one = voice().astype(np.float64)
    noise = perturb(one.astype(np.int16), 1) - one
    assert 29.5 < 10 * np.log10((one**2).sum() / (noise**2).sum()) < 40.5
