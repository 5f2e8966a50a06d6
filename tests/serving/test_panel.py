import numpy as np
import pytest
from conftest import tone
from helpers.toy_server import random_checkpoint, speech, wav

from ser.config import Ensemble
from ser.data.audio import describe_oddity
from ser.data.containers import UnreadableAudio
from ser.errors import UserError
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.predictor import Predictor
from ser.serving.panel import CLIPPED, analyse, describe_course
from ser.serving.service import PredictionService


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folders = [str(random_checkpoint(tmp_path_factory.mktemp(name))) for name in ("one", "two")]
    return PredictionService(Predictor.from_checkpoints(folders, Ensemble.mean, 8), max_seconds=5, max_minutes=0.2)


def test_a_short_recording_has_the_prediction_of_the_api_and_no_timeline(service):
    found, whole = analyse(service, speech(1), 4, 1), service.predict(speech(1))
    assert dict(found.ranked) == pytest.approx(whole.prediction.probabilities)
    assert [share for _, share in found.ranked] == sorted(whole.prediction.as_array(), reverse=True)
    assert found.timeline is None
    assert found.about == "One prediction for the whole recording of 1.0 s."


def test_a_recording_longer_than_a_window_has_a_timeline_as_well(service):
    found, whole = analyse(service, speech(4.5), 4, 1), service.predict(speech(4.5))
    assert dict(found.ranked)[whole.prediction.emotion] == pytest.approx(whole.prediction.as_array().max())
    assert found.timeline.startswith("data:image/png;base64,")


def test_a_recording_too_long_for_one_prediction_has_the_mean_over_its_windows(service):
    found, windows = analyse(service, speech(7), 4, 1), service.predict_windows(speech(7), 4, 1)
    mean = np.mean([one.prediction.as_array() for one in windows], axis=0)
    assert dict(found.ranked) == pytest.approx(dict(zip(service.predictor.labels, mean, strict=True)))
    assert found.about == "The mean over 4 windows of 4 s, of a recording of 7.0 s."


def test_each_of_several_checkpoints_is_shown_by_itself(service):
    for seconds in (1, 7):
        members = analyse(service, speech(seconds), 4, 1).members
        assert [name for name, _, _ in members] == [member.name for member in service.predictor.members]


def test_what_no_frame_fits_into_and_what_is_longer_than_the_limit_is_not_predicted(service):
    with pytest.raises(UnreadableAudio, match="too short"):
        service.predict_windows(wav(np.zeros(100), subtype="PCM_16"), 4, 1)
    with pytest.raises(UnreadableAudio, match=r"longer than max_minutes=0\.2"):
        service.predict_windows(speech(12.1), 4, 1)
    assert service.predict_windows(speech(12), 4, 1)


def test_a_silent_and_a_clipped_recording_get_the_warning_of_predict(service):
    silence, loud = np.zeros(16000 * 6), np.clip(9 * tone(6), -1, 1)
    assert describe_oddity(np.full(99, 32767, np.int16)) == CLIPPED
    quiet_then_loud = np.concatenate([silence, 0.5 * tone(1)])
    for samples, warning in (
        (silence, "it is silent (nothing above -60 dB of full scale)"),
        (loud, "it is clipped"),
        (quiet_then_loud, ""),
        (np.concatenate([silence, loud[:16000]]), "it is clipped"),
    ):
        content = wav(samples, subtype="PCM_16")
        assert analyse(service, content, 4, 1).warning == warning
    assert service.predict(wav(silence[:16000], subtype="PCM_16")).warning.startswith("it is silent")


def test_a_hop_that_makes_hours_of_minutes_is_refused(service):
    with pytest.raises(UserError, match="a quarter of window=4"):
        service.predict_windows(speech(), 4, 0.9)


@pytest.mark.parametrize(
    ("emotions", "words"),
    [
        ("aab", "Most probable: a from 0 s, then b from 2 s."),
        ("aaa", "Most probable: a from 0 s."),
        ("abababa", "The most probable emotion changes 6 times."),
    ],
)
def test_the_course_is_put_into_words(emotions, words):
    windows = [WindowPrediction("-", at, at + 4, Prediction(name, {name: 1.0})) for at, name in enumerate(emotions)]
    assert describe_course(windows) == words
