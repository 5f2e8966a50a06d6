import numpy as np
import pytest
from conftest import tone

from ser.corpora import ravdess
from ser.data import audio
from ser.data.silence import speech_span

RATE = 16_000


def clip(*parts, noise=0.0, level=0.3):
    """Seconds of silence (negative) and of tone one after the other over a noise floor, as int16."""
    signal = np.concatenate([tone(abs(part)) / 0.3 * level * (part > 0) for part in parts])
    signal += noise * np.random.default_rng(0).standard_normal(len(signal))
    return np.rint(signal * 32767).clip(-32768, 32767).astype(np.int16)


def seconds(samples):
    start, stop = speech_span(samples)
    return start / RATE, stop / RATE


def test_silence_before_and_after_the_speech_goes_but_for_a_tenth_of_a_second():
    assert seconds(clip(-1, 1, -0.8)) == pytest.approx((0.9, 2.1), abs=0.03)


def test_nothing_is_added_where_there_is_no_silence():
    assert seconds(clip(1)) == (0, 1)
    assert seconds(clip(-0.05, 1, -0.05)) == (0, 1.1)


@pytest.mark.parametrize("level", [0.9, 0.01, 0.004])
def test_how_loud_a_clip_is_does_not_matter(level):
    assert seconds(clip(-1, 1, -0.8, level=level)) == seconds(clip(-1, 1, -0.8))


@pytest.mark.parametrize("below", [40, 60])
def test_a_noise_floor_is_silence(below):
    assert seconds(clip(-1, 1, -0.8, noise=0.3 / np.sqrt(2) * 10 ** (-below / 20))) == seconds(clip(-1, 1, -0.8))


def test_a_pause_inside_stays():
    assert seconds(clip(-1, 0.3, -1, 0.3, -1)) == pytest.approx((0.9, 2.7), abs=0.03)


def test_a_quiet_ending_stays():
    loud, quiet = clip(-1, 1), clip(0.5, -1, level=0.3 * 10 ** (-30 / 20))
    assert seconds(np.concatenate([loud, quiet])) == pytest.approx((0.9, 2.6), abs=0.03)


def test_a_click_in_the_silence_is_no_speech():
    samples = clip(-1, 1, -1)
    samples[4000:4100] = 30_000
    assert seconds(samples) == seconds(clip(-1, 1, -1))


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.int16), clip(-1, noise=3e-4), clip(-1, noise=0.1)])
def test_a_clip_without_speech_stays_whole(samples):
    assert speech_span(samples) == (0, RATE)


@pytest.mark.parametrize("length", [0, 1, 319, 320, 639, 640, 1000])
def test_a_clip_shorter_than_the_margins_stays_whole(length):
    assert speech_span(clip(0.1)[:length]) == (0, length)


def test_the_shortest_speech_keeps_more_than_the_shortest_clip():
    start, stop = speech_span(clip(-1, 0.1, -1))
    assert stop - start > audio.SHORTEST * RATE


def test_of_the_real_corpus_nearly_half_is_silence(whole_ravdess):
    paths = [recording.path for recording in ravdess.scan(whole_ravdess).recordings]
    clips = [audio.load(whole_ravdess / path).samples for path in paths]
    kept = np.array([np.diff(speech_span(samples))[0] for samples in clips])
    whole = np.array([len(samples) for samples in clips])
    # Measured: 2.15 s on average of 3.70, from 1.28 to 4.40 s, 58 % of all samples (actors 50 to 70 %, emotions 53 to
    # 63 %); 19 clips of 1440 lose less than a tenth of a second.
    assert kept.mean() / RATE == pytest.approx(2.15, abs=0.05)
    assert kept.min() / RATE > 1.2
    assert 0.55 < kept.sum() / whole.sum() < 0.61
    assert (kept > whole - RATE // 10).sum() < 50
