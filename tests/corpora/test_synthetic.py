import numpy as np
import soundfile

from ser.corpora import synthetic
from ser.corpora.ravdess import EMOTION_CODES, EMOTIONS

CODES = ("05", "01", "01", "01", "11")


def test_the_whole_corpus_has_the_shape_of_ravdess(tmp_path, monkeypatch):
    # Names and files alone: the quickstart of test_wheel makes all clips.
    monkeypatch.setattr(synthetic, "waveform", lambda *codes: np.full(160, int(codes[0]) / 100, dtype=np.float32))
    synthetic.generate(tmp_path)
    scan = synthetic.scan(tmp_path)
    assert len(scan.recordings) == 1440
    assert scan.left_out == {}
    counts = {emotion: sum(row.emotion == emotion for row in scan.recordings) for emotion in EMOTIONS}
    assert counts == {emotion: 96 if emotion == "neutral" else 192 for emotion in EMOTIONS}
    assert all(row.path.startswith("synthetic/") for row in scan.recordings)
    one = tmp_path / scan.recordings[0].path
    info, before = soundfile.info(one), one.stat().st_mtime_ns
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    monkeypatch.setattr(synthetic, "ACTORS", (scan.recordings[0].speaker.zfill(2),))
    synthetic.generate(tmp_path)
    assert one.stat().st_mtime_ns == before


def test_a_clip_depends_on_its_codes_and_on_nothing_else():
    first = synthetic.waveform(*CODES)
    synthetic.waveform("01", "01", "02", "01", "02")
    assert np.array_equal(first, synthetic.waveform(*CODES))


def test_every_code_changes_the_clip():
    first = synthetic.waveform(*CODES)
    for place, other in enumerate(("06", "02", "02", "02", "12")):
        codes = [*CODES[:place], other, *CODES[place + 1 :]]
        again = synthetic.waveform(*codes)
        assert len(again) != len(first) or not np.array_equal(again, first)


def test_no_clip_is_silent_or_clipped_or_long():
    for emotion in EMOTION_CODES:
        for actor in ("01", "02", "23", "24"):
            clip = synthetic.waveform(emotion, "01", "01", "01", actor)
            assert 0.1 < np.abs(clip).max() < 0.9
            assert 0.5 < len(clip) / synthetic.SAMPLE_RATE < 2.0


def test_emotions_differ_in_tempo_and_tilt():
    def seconds(emotion):
        return np.mean([len(synthetic.waveform(emotion, "01", "01", "01", f"{actor:02d}")) for actor in range(1, 9)])

    def brightness(emotion):
        clips = [synthetic.waveform(emotion, "01", "01", "01", f"{actor:02d}") for actor in range(1, 9)]
        spectra = [np.abs(np.fft.rfft(clip, 32768)) ** 2 for clip in clips]
        return np.mean([(spectrum * np.arange(len(spectrum))).sum() / spectrum.sum() for spectrum in spectra])

    angry, sad = "05", "04"
    assert seconds(sad) > seconds(angry) * 1.2
    assert brightness(angry) > brightness(sad) * 1.2
