import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from conftest import tone

from ser.data import audio
from ser.data.containers import UnreadableAudio


def test_stereo_clips_are_averaged_to_mono(tmp_path):
    left, right = np.full(1000, 1000, np.int16), np.full(1000, 3000, np.int16)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16000)
    clip = audio.load(tmp_path / "a.wav")
    assert clip.channels == 2
    assert (clip.samples == 2000).all()


def test_equal_channels_give_the_samples_and_the_hash_of_the_mono_file(tmp_path):
    mono = (tone(0.2) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "mono.wav", mono, 16000)
    soundfile.write(tmp_path / "stereo.wav", np.stack([mono, mono], axis=1), 16000)
    one, two = audio.load(tmp_path / "mono.wav"), audio.load(tmp_path / "stereo.wav")
    assert np.array_equal(one.samples, two.samples)
    assert one.sha256 == two.sha256


def test_a_copy_in_another_container_has_the_same_hash(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.2, 48000), 48000, subtype="PCM_16")
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    soundfile.write(tmp_path / "a.flac", samples, rate)
    assert audio.load(tmp_path / "a.wav").sha256 == audio.load(tmp_path / "a.flac").sha256


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_every_rate_becomes_16_khz_with_its_tone_in_place(rate, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1.0, rate, frequency=1000), rate)
    clip = audio.load(tmp_path / "a.wav")
    spectrum = np.abs(np.fft.rfft(clip.samples[4000:12000]))
    assert len(clip.samples) == 16000
    assert clip.sample_rate == rate
    assert np.argmax(spectrum) * 2 == 1000


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
def test_every_sample_format_gives_the_same_clip(subtype, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.1), 16000, subtype=subtype)
    tolerance = 300 if subtype == "PCM_U8" else 1
    assert np.abs(audio.load(tmp_path / "a.wav").samples - tone(0.1) * 32768).max() <= tolerance


def test_clipping_is_a_run_at_full_scale_and_not_a_loud_peak(tmp_path):
    loud, clipped = tone(0.1, level=0.9), np.clip(tone(0.1, level=3.0), -1, 1)
    loud[100] = 1.0
    soundfile.write(tmp_path / "loud.wav", loud, 16000)
    soundfile.write(tmp_path / "clipped.wav", clipped, 16000)
    assert not audio.load(tmp_path / "loud.wav").clipped
    assert audio.load(tmp_path / "clipped.wav").clipped


def test_a_clip_to_be_answered_has_the_samples_of_training(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(0.3, 44100)] * 8, axis=1), 44100)
    assert np.array_equal(audio.load_short(tmp_path / "a.wav", 30.0), audio.load(tmp_path / "a.wav").samples)


def test_a_clip_to_be_answered_has_a_frame_and_is_not_too_long(tmp_path):
    soundfile.write(tmp_path / "one.wav", np.ones(1), 16000)
    soundfile.write(tmp_path / "long.wav", tone(3), 16000)
    with pytest.raises(UnreadableAudio, match="shorter than"):
        audio.load_short(tmp_path / "one.wav", 30.0)
    with pytest.raises(UnreadableAudio, match="longer than max_seconds=2"):
        audio.load_short(tmp_path / "long.wav", 2.0)


def test_a_clip_has_the_same_samples_in_every_thread(tmp_path):
    quiet = np.random.default_rng(0).integers(-2, 3, 48000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", quiet, 48000)
    with ThreadPoolExecutor(4) as pool:
        decoded = list(pool.map(lambda _: audio.load(tmp_path / "a.wav").samples.tobytes(), range(40)))
    assert set(decoded) == {audio.load(tmp_path / "a.wav").samples.tobytes()}


def test_what_resampling_overshoots_is_clipped_and_does_not_wrap(tmp_path):
    loud = np.where(tone(0.1, 44100, level=1) > 0, 32767, -32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", loud, 44100)
    decoded = audio.load(tmp_path / "a.wav").samples.astype(int)
    assert decoded.max() == 32767
    assert np.abs(np.diff(decoded)).max() < 60000


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_bytes_in_memory_are_decoded_as_a_file(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, tone(0.5, 48000), 48000)
    assert np.array_equal(audio.load_short(path.read_bytes(), 30), audio.load_short(path, 30))


def test_what_is_cut_short_in_memory_is_refused_as_in_a_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.5), 16000)
    whole = (tmp_path / "a.wav").read_bytes()
    for content, why in ((b"", "empty"), (whole[:5000], "truncated"), (b"text", "cannot be decoded")):
        with pytest.raises(UnreadableAudio, match=why):
            audio.load_short(content, 30)


FIRST_RELEASE = {"PCM_16": "722d939411a15284", "PCM_24": "6f42907548c4c4a2"}


def test_float_samples_beyond_full_scale_are_refused_where_they_are_on_another_scale(tmp_path):
    sound = tone(0.3)
    for name, scale in (("int16", 32768), ("normalised", 10)):
        soundfile.write(tmp_path / f"{name}.wav", sound * scale, 16000, subtype="FLOAT")
        for read in (
            audio.load,
            lambda path: audio.load_short(path, 30),
            lambda path: audio.load_short(path.read_bytes(), 30),
        ):
            with pytest.raises(UnreadableAudio, match=r"full scale is 1\.0; divide them by 32768 if"):
                read(tmp_path / f"{name}.wav")


def test_a_loud_peak_of_float_samples_is_clipped_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.3, level=1.5), 16000, subtype="FLOAT")
    clip = audio.load(tmp_path / "a.wav")
    assert (clip.clipped, clip.peak) == (True, 32768)
    assert audio.describe_oddity(audio.load_short(tmp_path / "a.wav", 30)) == "it is clipped"


def test_silence_is_described_as_in_the_audit():
    assert "silent" in audio.describe_oddity(np.full(8000, 32, np.int16))
    assert "silent" in audio.describe_oddity(np.empty(0, np.int16))
    assert audio.describe_oddity(np.full(8000, -33, np.int16)) == ""


@pytest.mark.parametrize(
    ("subtype", "kind"), [("PCM_16", "wav"), ("PCM_24", "wav"), ("PCM_16", "flac"), ("PCM_16", "aiff")]
)
def test_the_samples_of_ordinary_files_are_those_of_the_first_release(subtype, kind, tmp_path):
    stereo = np.random.default_rng(0).integers(-(2**31), 2**31, (16000, 2)).astype(np.int32)
    soundfile.write(tmp_path / f"a.{kind}", stereo, 16000, subtype=subtype)
    samples = audio.load(tmp_path / f"a.{kind}").samples
    assert hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()[:16] == FIRST_RELEASE[subtype]
