import io
from itertools import islice

import numpy as np
import pytest
import soundfile
from conftest import tone

from ser.data import audio, audio_file
from ser.data.audio import SAMPLE_RATE
from ser.data.containers import UnreadableAudio
from ser.data.streams import WavFormat
from ser.inference.windows import cut_windows, read_file, read_stream


def noise(seconds, seed=0):
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * SAMPLE_RATE)).astype(np.int16)


def cut(samples, block, window, hop):
    return list(cut_windows((samples[start : start + block] for start in range(0, len(samples), block)), window, hop))


@pytest.mark.parametrize("hop", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("block", [1, 100, 7001, 10**6])
def test_windows_are_stretches_of_the_recording_however_it_arrives(block, hop):
    samples = noise(1.3)
    found = cut(samples, block, 0.5, hop)
    assert [window.start / SAMPLE_RATE for window in found[:-1]] == [place * hop for place in range(len(found) - 1)]
    assert found[-1].seconds[1] == 1.3, "the end is in a window"
    for window in found:
        assert np.array_equal(window.samples, samples[window.start :][:8000])
        assert len(window.samples) == 8000


def test_a_recording_shorter_than_a_window_is_one_window():
    (only,) = cut(noise(0.3), 1000, 4, 1)
    assert only.seconds == (0.0, 0.3)


def test_a_recording_without_a_single_frame_has_no_window():
    assert cut(noise(0.02), 1000, 4, 1) == []


def test_a_recording_that_fills_its_last_window_has_no_window_twice():
    assert [window.seconds for window in cut(noise(2), 999, 1, 1)] == [(0, 1), (1, 2)]


def test_a_window_is_there_before_the_next_block_is_asked_for():
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield noise(0.5)

    assert len(list(islice(cut_windows(endless(), 1, 0.5), 3))) == 3
    assert len(asked) == 4


def test_a_file_in_blocks_has_the_samples_of_the_file_at_once(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(3), 48000)
    monkeypatch.setattr(audio_file, "BLOCK", 1000)
    in_blocks = np.concatenate(list(read_file(tmp_path / "a.wav")))
    at_once = audio.load(tmp_path / "a.wav").samples
    assert np.array_equal(in_blocks, at_once)


def test_live_stereo_is_averaged_and_half_a_frame_waits_for_its_other_half():
    class Dripping(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(3)

    left = (tone(0.1) * 32767).astype("<i2")
    stream = Dripping(np.stack([left, np.zeros_like(left)], axis=1).tobytes() + b"\x01")
    decoded = np.concatenate(list(read_stream(stream, WavFormat(SAMPLE_RATE, channels=2))))
    assert np.array_equal(decoded, np.rint(left / 2).astype(np.int16))


def test_a_truncated_file_is_decoded_up_to_the_cut_and_then_refused(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(20), SAMPLE_RATE)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(whole[: len(whole) // 2])
    decoded = []
    with pytest.raises(UnreadableAudio):
        decoded.extend(cut_windows(read_file(tmp_path / "a.flac"), 1, 1))
    assert 0 <= len(decoded) <= 10
