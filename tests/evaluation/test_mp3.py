import numpy as np
import pytest
import soundfile
from scipy import signal

from ser.errors import UserError
from ser.evaluation import mp3

MPEG_2_LAYER_3 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def voice(samples):
    """Noise in the band of speech, with a changing level."""
    noise = np.random.default_rng(1).standard_normal(samples)
    level = 0.15 + 0.1 * np.sin(2 * np.pi * 3 * np.arange(samples) / 16000)
    return (level * signal.sosfilt(signal.butter(4, (200, 2500), "bandpass", fs=16000, output="sos"), noise)).astype(
        np.float32
    )


def frame_rates(encoded):
    """The kbit/s in the header of each frame."""
    rates, place = [], 0
    while place + 4 <= len(encoded):
        sync, second, third = encoded[place], encoded[place + 1], encoded[place + 2]
        assert (sync, second & 0xF6) == (0xFF, 0xF2), "a frame of MPEG-2 layer III"
        assert third >> 2 & 3 == 2, "16 kHz"
        rates.append(MPEG_2_LAYER_3[third >> 4])
        place += 72 * rates[-1] * 1000 // 16000 + (third >> 1 & 1)
    return rates


def test_every_frame_has_32_kilobits_a_second():
    encoded = mp3.encode_mp3(voice(48000))
    rates = frame_rates(encoded)
    assert set(rates) == {32}
    assert len(encoded) * 8 / 1000 == pytest.approx(32 * len(rates) * 576 / 16000, rel=0.01)


@pytest.mark.parametrize("samples", [4000, 16001, 48000, 100_003])
def test_the_codec_moves_no_sample(samples):
    clip = voice(samples)
    decoded = mp3.through_mp3(clip)
    assert decoded.shape == clip.shape
    lag = signal.correlate(decoded, clip, "full").argmax() - (samples - 1)
    assert lag == 0
    assert np.corrcoef(decoded, clip)[0, 1] > 0.95
    assert (decoded != clip).any()
    assert np.corrcoef(decoded[-2000:], clip[-2000:])[0, 1] > 0.9, "the end is there as well"


def test_without_mp3_in_libsndfile_a_line_names_it(monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    with pytest.raises(UserError, match=r"^stress=true: libsndfile [\d.]+ has no MP3 here"):
        mp3.check_mp3()
