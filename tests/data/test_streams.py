import io
import struct

import numpy as np
import pytest
import soundfile
from conftest import tone

from ser.data import audio_file
from ser.data.containers import UnreadableAudio
from ser.data.streams import WavFormat, mono_stream, read_wav_header

RAW = WavFormat(16000, 1)


class Dribble(io.BufferedIOBase):
    """A pipe that gives three bytes at a time."""

    def __init__(self, content):
        self.content = io.BytesIO(content)

    def read(self, size=-1):
        return self.content.read(size)

    def read1(self, size=-1):
        return self.content.read(min(size, 3))


def streamed(content, raw=RAW):
    form, blocks = mono_stream(Dribble(content), raw)
    return form, np.concatenate([np.empty(0, np.int16), *blocks])


def placeholder(content, size):
    """A WAV as a pipe gives it: with a size that its writer made up."""
    place = content.index(b"data") + 4
    return (
        content[:4]
        + struct.pack("<I", min(size + 36, 0xFFFFFFFF))
        + content[8:place]
        + struct.pack("<I", size)
        + content[place + 4 :]
    )


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_a_wav_through_a_pipe_has_the_samples_of_the_file(subtype, container, tmp_path):
    path = tmp_path / "a.wav"
    stereo = np.stack([tone(0.02, 44100), tone(0.02, 44100, 330)], axis=1)
    soundfile.write(path, stereo, 44100, subtype=subtype, format=container)
    samples, rate, channels = audio_file.decode(path)
    for size in (None, 0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFFFF00, 2_000_000_000):
        content = path.read_bytes()
        form, samples_read = streamed(content if size is None else placeholder(content, size))
        assert (form.sample_rate, form.channels, form.subtype) == (rate, channels, subtype)
        assert np.array_equal(samples_read, samples)


def test_what_follows_the_samples_of_a_wav_is_no_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.1), 16000)
    assert len(streamed((tmp_path / "a.wav").read_bytes() + b"LIST" + bytes(100))[1]) == 1600


def test_what_begins_with_no_header_is_raw_samples_of_the_given_form():
    left, right = np.full(500, 100, "<i2"), np.full(500, 300, "<i2")
    form, samples_read = streamed(np.stack([left, right], axis=1).tobytes(), WavFormat(8000, 2))
    assert form.sample_rate == 8000
    assert samples_read.tolist() == [200] * 500


def test_a_stream_that_ends_before_the_length_of_its_header_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.1), 16000)
    with pytest.raises(UnreadableAudio, match="truncated"):
        streamed((tmp_path / "a.wav").read_bytes()[:-100])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"RIFF", "no WAV"),
        (b"RIFF\0\0\0\0WAVE", "ends before its samples"),
        (b"RIFF\0\0\0\0AVI LIST", "no WAV"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "no chunk 'fmt '"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0\0\0\0\0", "broken chunk"),
        (b"RIFF\0\0\0\0WAVEJUNK\xff\xff\xff\xff", "within"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 2, 1, 16000, 8000, 256, 4), "no PCM"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 0, 16000, 32000, 2, 16), "contradicts itself"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 0, 0, 2, 16), "0 Hz is impossible"),
    ],
)
def test_a_header_that_is_no_wav_header_is_refused_with_the_reason(content, reason):
    with pytest.raises(UnreadableAudio, match=reason):
        read_wav_header(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["flac", "ogg", "aiff", "au", "w64", "rf64"])
def test_another_container_through_a_pipe_is_refused_and_not_taken_for_samples(kind, tmp_path):
    soundfile.write(tmp_path / f"a.{kind}", tone(0.1), 16000)
    with pytest.raises(UnreadableAudio, match="neither a WAV nor raw samples"):
        streamed((tmp_path / f"a.{kind}").read_bytes())


def test_float_samples_beyond_full_scale_are_refused_in_a_stream(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.1) * 32768, 16000, subtype="FLOAT")
    with pytest.raises(UnreadableAudio, match="divide them by 32768"):
        streamed((tmp_path / "a.wav").read_bytes())
