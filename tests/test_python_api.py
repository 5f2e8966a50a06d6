import doctest
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import tone
from helpers.toys import saved

import ser
from ser import api, load
from ser.errors import UserError

LABELS = ("angry", "happy", "sad")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("toy") / "checkpoint", labels=LABELS)


@pytest.fixture(scope="module")
def classifier(checkpoint):
    return load(checkpoint)


@pytest.fixture
def stereo(tmp_path):
    samples = np.stack([tone(1.3, rate=44100), tone(1.3, rate=44100, frequency=900)], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, 44100, subtype="PCM_16")
    return tmp_path / "a.wav"


def test_importing_the_package_imports_no_heavy_library():
    code = "import sys, ser; print(*{'torch', 'numpy', 'transformers', 'hydra', 'soundfile'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()


def test_the_package_names_what_it_offers():
    assert ser.load is load
    assert set(ser.__all__) <= set(dir(ser))
    assert all(getattr(ser, name) for name in ser.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ser.nothing  # noqa: B018


def test_every_example_of_the_documentation_is_true(checkpoint, classifier, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "recording.wav", tone(0.5), 16000)
    monkeypatch.chdir(tmp_path)
    names = {"checkpoint": checkpoint, "classifier": classifier, "soundfile": soundfile}
    result = doctest.testmod(api, extraglobs=names)
    assert result.attempted > 10
    assert result.failed == 0


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_an_array_has_the_result_of_its_file(dtype, classifier, stereo):
    samples, rate = soundfile.read(stereo, dtype=dtype)
    assert samples.shape[1] == 2
    from_file, from_array = classifier.predict(stereo), classifier.predict(samples, rate)
    assert list(from_array.probabilities) == list(LABELS) == classifier.labels
    assert from_array.probabilities == pytest.approx(from_file.probabilities, abs=1e-4)
    assert from_array.emotion == max(from_array.probabilities, key=from_array.probabilities.get)
    assert np.allclose(classifier.embed(samples, rate), classifier.embed(stereo), atol=1e-3)


def test_a_list_has_the_result_of_each_of_its_clips_in_order(classifier, stereo):
    clips = [str(stereo), tone(0.4), tone(2.0, frequency=600)]
    predictions = classifier.predict(clips, 16000)
    embeddings = classifier.embed(clips, 16000)
    for clip, prediction, embedding in zip(clips, predictions, embeddings, strict=True):
        assert classifier.predict(clip, 16000).probabilities == pytest.approx(prediction.probabilities, abs=1e-5)
        assert np.allclose(classifier.embed(clip, 16000), embedding, atol=1e-5)
    assert np.ptp(embeddings, axis=0).max() > 1e-2, "the toy tells the clips apart"
    assert classifier.predict([]) == classifier.embed([]) == []


def test_frame_embeddings_have_a_row_for_each_frame_and_the_utterance_is_their_mean(classifier):
    short, long = classifier.embed([tone(0.5), tone(1.0)], 16000, frames=True)
    assert short.shape == (25, 16)
    assert long.shape == (50, 16)
    assert short.dtype == np.float32
    assert np.allclose(classifier.embed(tone(1.0), 16000), long.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("clip", "rate", "message"),
    [
        (tone(0.5), None, "sample_rate=None: give its hertz"),
        (tone(0.5), 16, "sample_rate=16: give its hertz"),
        (tone(0.5) * 32768, 16000, "full scale is 1.0"),
        (np.full(8000, np.nan), 16000, "NaN"),
        (np.zeros(8000, dtype=np.int64), 16000, "its type is int64"),
        (np.zeros((2, 8000)), 16000, r"array of shape \(2, 8000\): give \(samples,\) or \(samples, channels\)"),
        (np.zeros((1, 8000, 1)), 16000, "give "),
        (np.zeros(0), 16000, "no samples"),
        (np.zeros(8), 16000, "shorter than 0.025 s"),
        (np.zeros(16000 * 31), 16000, "longer than max_seconds=30 s"),
        ([0.1, 0.2], 16000, "a path or an array, not float"),
        ("nowhere.wav", None, "nowhere.wav: No such file"),
    ],
)
def test_what_cannot_be_used_is_a_value_error_in_one_line(clip, rate, message, classifier):
    for use in (classifier.predict, classifier.embed):
        with pytest.raises(ValueError, match=message) as raised:
            use(clip, rate)
        assert isinstance(raised.value, UserError)
        assert "\n" not in str(raised.value)


def test_a_damaged_file_is_named(classifier, tmp_path):
    (tmp_path / "text.wav").write_text("RIFF, they say")
    with pytest.raises(UserError, match=r"text\.wav: it cannot be decoded"):
        classifier.predict([tone(0.5), tmp_path / "text.wav"], 16000)


def test_the_longest_recording_is_the_users_choice(checkpoint):
    assert load(checkpoint, max_seconds=40, batch_size=1).predict(tone(31), 16000).emotion in LABELS


def test_a_temperature_changes_probabilities_and_not_the_emotion(checkpoint, classifier, stereo):
    plain, softened = classifier.predict(stereo), load(checkpoint, temperature=3.0).predict(stereo)
    assert softened.emotion == plain.emotion
    assert max(softened.probabilities.values()) < max(plain.probabilities.values())


def test_copies_at_test_time_change_predictions_and_no_embedding(checkpoint, classifier, stereo):
    averaging = load(checkpoint, test_time_copies=3)
    assert averaging.predict(stereo).probabilities != classifier.predict(stereo).probabilities
    together, alone = averaging.predict([stereo, stereo])[1], averaging.predict(stereo)
    assert together.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    assert (averaging.embed(stereo) == classifier.embed(stereo)).all()
