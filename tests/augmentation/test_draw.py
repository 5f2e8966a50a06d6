import math
from functools import cache

import numpy as np
import pytest
import soundfile
import torch
from conftest import composed, tone

from ser.augmentation.draw import Augmenter, open_folders
from ser.config.augment import SWITCHES
from ser.data.audio import SHORTEST
from ser.data.silence import speech_span
from ser.errors import UserError

RATE = 16_000
OWN = [switch for switch in SWITCHES if switch not in ("mixup_alpha", "cutmix_alpha")]
"""The effects on a single clip."""


class Clips:
    """A list of training clips."""

    def __init__(self, *waveforms):
        self.samples = [np.rint(waveform * 32767).astype(np.int16) for waveform in waveforms]

    def __getitem__(self, index):
        return {"samples": self.samples[index], "clip": index}

    def lengths(self):
        return np.array([len(samples) for samples in self.samples])


def spoken(seconds=1.0, before=0.5, after=0.7):
    return np.concatenate([np.zeros(int(before * RATE)), tone(seconds), np.zeros(int(after * RATE))])


@pytest.fixture
def clips():
    return Clips(*(spoken(1 + 0.01 * number) for number in range(8)))


@cache
def options(*overrides):
    return composed("train", *overrides).augment


def augmenter(clips, *overrides, seed=0):
    return Augmenter(options(*overrides), seed, clips)


def drawn(clips, epoch, *overrides, seed=0):
    made = augmenter(clips, *overrides, seed=seed)
    return [made.draw(clips[index]["samples"], index, epoch) for index in range(len(clips.samples))]


def same(first, second):
    return [np.array_equal(one, other) for one, other in zip(first, second, strict=True)]


def decibels(ratio):
    return 10 * math.log10(ratio)


def test_seed_epoch_and_clip_decide_a_waveform_whatever_was_drawn_before(clips):
    made, order = augmenter(clips, "augment=strong"), [5, 0, 7, 0]
    whole = {epoch: drawn(clips, epoch, "augment=strong") for epoch in (0, 1)}
    for epoch in (1, 0):
        for index in order:
            assert np.array_equal(made.draw(clips[index]["samples"], index, epoch), whole[epoch][index])
    assert not any(same(whole[0], whole[1]))
    assert not any(same(whole[0], drawn(clips, 0, "augment=strong", seed=1)))
    alike = Clips(*[spoken()] * 4)
    first, *rest = drawn(alike, 0, "augment=strong")
    assert not any(np.array_equal(first, other) for other in rest)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_no_bit(clips, threads):
    expected, before = drawn(clips, 0, "augment=strong"), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert all(same(drawn(clips, 0, "augment=strong"), expected))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_the_generators_that_training_draws_from_are_left_alone(clips):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    drawn(clips, 0, "augment=strong")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("switch", OWN)
def test_every_effect_changes_clips_and_none_of_the_dataset(clips, switch):
    untouched = [samples.copy() for samples in clips.samples]
    changed = drawn(clips, 0, f"augment.{switch}=1", "augment.speed_factors=[0.9]")
    # A small shift of pitch is rounded to none, and a section of silence stays what it is.
    assert sum(same(changed, [samples / np.float32(32768) for samples in untouched])) <= 4
    assert all(same(clips.samples, untouched))
    assert {waveform.dtype for waveform in changed} == {np.dtype(np.float32)}
    assert all(np.isfinite(waveform).all() for waveform in changed)


@pytest.mark.parametrize("switch", [switch for switch in OWN if switch.endswith("_probability")])
def test_a_probability_is_the_share_of_clips_that_are_changed(switch):
    clips = Clips(*[tone(0.1)] * 300)
    changed = drawn(clips, 0, f"augment.{switch}=0.3", "augment.speed_factors=[0.9]")
    share = 1 - np.mean(same(changed, [samples / np.float32(32768) for samples in clips.samples]))
    assert share == pytest.approx(0.3, abs=0.08)  # three standard deviations


def test_the_lengths_of_an_epoch_are_those_of_its_waveforms(clips):
    given = ("augment=light", "augment.noise_probability=0")
    for epoch in range(3):
        lengths = augmenter(clips, *given).lengths(epoch).tolist()
        assert lengths == [len(waveform) for waveform in drawn(clips, epoch, *given)]
    assert len(set(lengths)) > 4


@pytest.mark.parametrize("given", [("augment=light",), ("augment.trim_silence=1",), ("augment.speed_probability=0.5",)])
def test_no_clip_is_longer_or_shorter_than_the_range_that_is_given(clips, given):
    made = augmenter(clips, *given)
    shortest, longest = made.length_range()
    found = np.concatenate([made.lengths(epoch) for epoch in range(100)])
    assert shortest <= found.min() < found.max() <= longest
    assert longest <= clips.lengths().max() / 0.9 + 1
    assert found.max() > 0.95 * longest


def test_all_speeds_are_drawn_alike():
    clips = Clips(*[tone(0.1)] * 500)
    made = augmenter(clips, "augment.speed_probability=1")
    speeds, counts = np.unique(made.sections(0)[2], return_counts=True)
    assert speeds.tolist() == [0.9, 0.95, 1.0, 1.05, 1.1]
    assert counts == pytest.approx(np.full(5, 100), abs=30)


def test_silence_alone_is_trimmed_and_every_share_of_it(clips):
    made = augmenter(clips, "augment.trim_silence=1")
    shares = []
    for epoch in range(30):
        starts, stops, _ = made.sections(epoch)
        for index, samples in enumerate(clips.samples):
            start, stop = speech_span(samples)
            assert 0 <= starts[index] <= start
            assert stop <= stops[index] <= len(samples)
            waveform = made.draw(samples, index, epoch)
            assert np.array_equal(waveform, samples[starts[index] : stops[index]] / np.float32(32768))
            shares += [starts[index] / start, (len(samples) - stops[index]) / (len(samples) - stop)]
    assert np.quantile(shares, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.08)


def test_a_clip_of_a_single_frame_is_not_shortened():
    shortest = round(SHORTEST * RATE)
    clips = Clips(tone(SHORTEST), tone(SHORTEST))
    assert (
        augmenter(clips, "augment.speed_probability=1", "augment.speed_factors=[2]").lengths(0).tolist()
        == [shortest] * 2
    )
    slower = augmenter(clips, "augment.speed_probability=1", "augment.speed_factors=[0.5]").lengths(0)
    assert slower.tolist() == [2 * shortest] * 2


def test_levels_lie_within_their_range(clips):
    gains = [
        decibels((waveform**2).mean() / ((samples / 32768) ** 2).mean())
        for epoch in range(20)
        for waveform, samples in zip(drawn(clips, epoch, "augment.gain_decibels=6"), clips.samples, strict=True)
    ]
    assert min(gains) >= -6
    assert max(gains) <= 6
    assert np.quantile(gains, [0.1, 0.5, 0.9]) == pytest.approx([-4.8, 0, 4.8], abs=1)


def test_ratios_of_noise_lie_within_their_range(clips):
    ratios = []
    for epoch in range(20):
        noisy = drawn(clips, epoch, "augment.noise_probability=1", "augment.noise_snr=[10,20]")
        for waveform, samples in zip(noisy, clips.samples, strict=True):
            clean = samples / np.float32(32768)
            ratios.append(decibels((clean**2).sum() / ((waveform - clean) ** 2).sum()))
    assert np.quantile(ratios, [0, 0.5, 1]) == pytest.approx([10, 15, 20], abs=1.2)
    assert min(ratios) > 9.99
    assert max(ratios) < 20.01


def test_noise_and_rooms_come_from_the_folders_that_are_given(clips, tmp_path):
    noise = tone(3.0, frequency=3000.0)
    impulse = np.zeros(2000)
    impulse[[0, 1000]] = 0.5, 0.4
    for name, samples in (("noises/a.wav", noise), ("rooms/b.wav", impulse)):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / name, samples, RATE, subtype="PCM_16")
    noisy = drawn(clips, 0, "augment.noise_probability=1", f"augment.noise_folder='{tmp_path}/noises'")
    for waveform in noisy:
        added = np.abs(np.fft.rfft(waveform[: RATE // 4]))  # before the speech
        assert np.fft.rfftfreq(RATE // 4, 1 / RATE)[added.argmax()] == pytest.approx(3000, abs=4)
    echoing = drawn(clips, 0, "augment.room_probability=1", f"augment.response_folder='{tmp_path}/rooms'")
    for waveform, samples in zip(echoing, clips.samples, strict=True):
        clean = samples / 32768
        expected = clean + 0.8 * np.concatenate([np.zeros(1000), clean[:-1000]])
        assert np.corrcoef(waveform, expected)[0, 1] > 0.9999


def test_a_folder_of_an_effect_that_is_off_is_not_opened():
    off = composed("train", "augment.noise_folder=/nowhere", "augment.response_folder=/nowhere").augment
    assert open_folders(off) == (None, None)


@pytest.mark.parametrize(("kind", "effect"), [("noise", "noise"), ("response", "room")])
def test_a_missing_folder_is_refused(kind, effect, clips):
    with pytest.raises(UserError, match=f"augment.{kind}_folder=/nowhere: no such folder"):
        augmenter(clips, f"augment.{effect}_probability=0.1", f"augment.{kind}_folder=/nowhere")


def test_masks_set_sections_of_bounded_length_to_zero():
    clips = Clips(*[np.full(RATE, 0.5)] * 20)
    for waveform in drawn(clips, 0, "augment.time_masks=2", "augment.time_mask_seconds=0.1"):
        zero = np.flatnonzero(waveform == 0)
        assert 0 < len(zero) <= 2 * 0.1 * RATE
        assert np.sum(np.diff(zero) > 1) <= 1  # two sections at most
        assert set(np.unique(waveform)) <= {np.float32(0), np.float32(round(0.5 * 32767) / 32768)}


@pytest.mark.parametrize("waveform", [np.zeros(RATE), np.zeros(400), tone(0.03)], ids=["silent", "short", "one frame"])
def test_an_odd_clip_stays_finite(waveform):
    for epoch in range(20):
        made = drawn(Clips(waveform, waveform), epoch, "augment=strong", "augment.time_masks=2")
        assert all(np.isfinite(one).all() and len(one) >= 400 for one in made)
