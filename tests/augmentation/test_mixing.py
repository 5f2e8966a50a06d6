import numpy as np
import pytest
from conftest import composed

from ser.augmentation.mixing import fit, mix


def waveforms(count=8, samples=1000, seed=0):
    generator = np.random.default_rng(seed)
    return [0.1 * generator.standard_normal(samples).astype(np.float32) for _ in range(count)]


def options(*overrides):
    return composed("train", *overrides).augment


def test_mixup_is_the_weighted_sum_of_two_clips_of_one_level():
    clips = waveforms()
    clips[3] = 20 * clips[3]
    mixed = mix(clips, options("augment.mixup_alpha=1"), (0, 0))
    assert len(set(mixed.partners)) == 8
    for place, (partner, share) in enumerate(zip(mixed.partners, mixed.shares, strict=True)):
        assert 0 <= share <= 0.5
        other = clips[partner] * np.sqrt((clips[place] ** 2).mean() / (clips[partner] ** 2).mean())
        expected = clips[place] if partner == place else (1 - share) * clips[place] + share * other
        assert np.allclose(mixed.waveforms[place], expected, atol=1e-6)
        assert mixed.waveforms[place].dtype == np.float32


def test_cutmix_replaces_as_large_a_share_of_the_samples_as_of_the_label():
    clips = waveforms()
    mixed = mix(clips, options("augment.cutmix_alpha=1"), (0, 0))
    for place, (partner, share) in enumerate(zip(mixed.partners, mixed.shares, strict=True)):
        replaced = np.flatnonzero(mixed.waveforms[place] != clips[place])
        assert len(replaced) == pytest.approx(share * 1000, abs=1)
        assert share <= 0.5
        if partner != place:
            assert np.array_equal(replaced, np.arange(replaced[0], replaced[-1] + 1))
            assert np.allclose(mixed.waveforms[place][replaced], fit(clips[partner], clips[place])[replaced])


@pytest.mark.parametrize(("alpha", "mean"), [(1.0, 0.25), (0.2, 0.102)])
def test_shares_follow_the_beta_distribution(alpha, mean):
    shares, mixup = [], options(f"augment.mixup_alpha={alpha}")
    for seed in range(200):
        mixed = mix(waveforms(8, 10), mixup, (seed,))
        shares += [share for place, share in enumerate(mixed.shares) if mixed.partners[place] != place]
    generator = np.random.default_rng(0)
    drawn = generator.beta(alpha, alpha, 100_000)
    expected = np.minimum(drawn, 1 - drawn)
    assert expected.mean() == pytest.approx(mean, abs=0.01)
    assert np.mean(shares) == pytest.approx(expected.mean(), abs=0.02)
    assert np.quantile(shares, [0.25, 0.75]) == pytest.approx(np.quantile(expected, [0.25, 0.75]), abs=0.05)


def test_the_seed_alone_decides_a_mixture():
    state = np.random.get_state()[1].copy()
    first, again, other = (
        mix(waveforms(), options("augment.mixup_alpha=1"), seed) for seed in ((1, 2), (1, 2), (1, 3))
    )
    assert (first.partners, first.shares) == (again.partners, again.shares)
    assert all(map(np.array_equal, first.waveforms, again.waveforms))
    assert first.shares != other.shares
    assert np.array_equal(np.random.get_state()[1], state)


def test_a_share_of_the_clips_is_mixed():
    count, some = 0, options("augment.mixup_alpha=1", "augment.mix_probability=0.4")
    for seed in range(100):
        mixed = mix(waveforms(8, 10), some, (seed,))
        count += sum(place != partner for place, partner in enumerate(mixed.partners))
        unmixed = [place for place, partner in enumerate(mixed.partners) if place == partner]
        assert [mixed.shares[place] for place in unmixed] == [0.0] * len(unmixed)
    assert count == pytest.approx(0.4 * 7 / 8 * 800, abs=45)  # one clip of eight is its own partner


def test_both_kinds_are_drawn_alike_where_both_are_on():
    both = options("augment.mixup_alpha=1", "augment.cutmix_alpha=1")
    whole = 0
    for seed in range(50):
        clips = waveforms()
        mixed = mix(clips, both, (seed,))
        whole += sum((mixed.waveforms[place] != clips[place]).mean() > 0.9 for place in range(8))
    assert whole == pytest.approx(0.5 * 7 / 8 * 400, abs=35)


def test_a_partner_gets_the_length_of_the_clip():
    long, short = waveforms(1, 1000)[0], waveforms(1, 300)[0]
    assert len(fit(long, short)) == 300
    padded = fit(short, long)
    assert len(padded) == 1000
    assert not padded[300:].any()
    assert (padded**2).mean() == pytest.approx((long**2).mean(), rel=1e-5)


def test_a_silent_partner_and_a_single_clip_stay_finite():
    silent = [np.zeros(100, np.float32), *waveforms(3, 100)]
    mixed = mix(silent, options("augment.mixup_alpha=1", "augment.cutmix_alpha=1"), (0,))
    assert all(np.isfinite(waveform).all() for waveform in mixed.waveforms)
    alone = mix(waveforms(1), options("augment.mixup_alpha=1"), (0,))
    assert (alone.partners, alone.shares) == ([0], [0.0])
