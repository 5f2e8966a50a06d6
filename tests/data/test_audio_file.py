import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import tone

from ser.data import audio, audio_file
from ser.data.containers import UnreadableAudio


def damaged(path, content):
    path.write_bytes(content)
    return path


def test_an_unusable_file_is_refused_with_the_reason(tmp_path):
    soundfile.write(tmp_path / "whole.wav", tone(0.5), 16000)
    whole = (tmp_path / "whole.wav").read_bytes()
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16000, subtype="FLOAT")
    for path, reason in [
        (damaged(tmp_path / "empty.wav", b""), "the file is empty"),
        (damaged(tmp_path / "text.wav", b"not audio at all"), "cannot be decoded"),
        (damaged(tmp_path / "cut.wav", whole[: len(whole) // 2]), "truncated"),
        (damaged(tmp_path / "header.wav", whole[:20]), "cannot be decoded"),
        (damaged(tmp_path / "samples.raw", whole[44:]), "no header"),
        (tmp_path / "none.wav", "no samples"),
        (tmp_path / "nan.wav", "NaN"),
    ]:
        with pytest.raises(UnreadableAudio, match=reason):
            audio.load(path)


def promising(path, hours):
    """A FLAC of a tenth of a second whose header promises hours; libsndfile believes it."""
    soundfile.write(path, tone(0.1), 16000)
    content = bytearray(path.read_bytes())
    samples = int(hours * 3600 * 16000)
    content[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)  # the low 32 of 36 bits in the first block
    content[21] = content[21] & 0xF0 | samples >> 32
    path.write_bytes(bytes(content))
    assert soundfile.info(path).frames == samples
    return path


def test_a_header_that_promises_hours_costs_no_memory(tmp_path):
    path = promising(tmp_path / "a.flac", hours=10)
    tracemalloc.start()
    with pytest.raises(UnreadableAudio, match=r"cannot be decoded|truncated"):
        audio.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("rate", [1, 999, 2_000_000])
def test_an_impossible_rate_is_refused_before_it_is_brought_to_16_khz(rate, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.1), rate)
    with pytest.raises(UnreadableAudio, match="impossible"):
        audio.load(tmp_path / "a.wav")


def test_a_quiet_begin_does_not_hide_that_a_file_is_on_another_scale(tmp_path):
    sound = np.concatenate([np.zeros(audio_file.BLOCK), tone(0.3) * 32768])
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="DOUBLE")
    with pytest.raises(UnreadableAudio, match="full scale"), audio_file.open_audio(tmp_path / "a.wav"):
        pytest.fail("the first block could be answered")


def test_of_a_long_file_only_the_frames_of_the_part_are_decoded(tmp_path, monkeypatch):
    whole = np.random.default_rng(0).integers(-9000, 9000, 16000 * 40, dtype=np.int16)
    soundfile.write(tmp_path / "long.wav", whole, 16000)
    read, frames = soundfile.SoundFile.read, []

    def counted(file, *arguments, **options):
        block = read(file, *arguments, **options)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    assert np.array_equal(audio.load(tmp_path / "long.wav", (10.0, 10.5)).samples, whole[160000:168000])
    assert sum(frames) == 8000
    assert np.array_equal(audio.load(tmp_path / "long.wav", (1.0, 39.0)).samples, whole[16000:624000])
    assert np.array_equal(audio.load(tmp_path / "long.wav", (20.0, None)).samples, whole[320000:])
