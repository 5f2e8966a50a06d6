import numpy as np
import pytest
from conftest import tone
from helpers.toy_server import random_checkpoint, speech, wav

from ser.config import Ensemble
from ser.data.audio import UnreadableAudio, oddity
from ser.errors import UserError
from ser.inference.predictions import Answer
from ser.inference.predictor import Predictor, Said
from ser.serving.panel import CLIPPED, analyse, course
from ser.serving.service import PredictionService


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folders = [str(random_checkpoint(tmp_path_factory.mktemp(name))) for name in ("one", "two")]
    return PredictionService(Predictor.of(folders, Ensemble.mean, 8), max_seconds=5, max_minutes=0.2)


def test_a_short_recording_has_the_answer_of_the_api_and_no_timeline(service):
    found, whole = analyse(service, speech(1), 4, 1), service.whole(speech(1))
    assert dict(found.ranked) == pytest.approx(dict(zip(service.predictor.labels, whole.said.shares, strict=True)))
    assert [share for _, share in found.ranked] == sorted(whole.said.shares, reverse=True)
    assert found.timeline is None
    assert found.about == "One answer for the whole recording of 1.0 s."


def test_a_recording_longer_than_a_window_has_a_timeline_as_well(service):
    found, whole = analyse(service, speech(4.5), 4, 1), service.whole(speech(4.5))
    assert dict(found.ranked)[whole.said.emotion] == pytest.approx(whole.said.shares.max())
    assert found.timeline.startswith("data:image/png;base64,")


def test_a_recording_too_long_for_one_answer_has_the_mean_over_its_windows(service):
    found, windows = analyse(service, speech(7), 4, 1), service.windows(speech(7), 4, 1)
    mean = np.mean([answer.said.shares for answer in windows], axis=0)
    assert dict(found.ranked) == pytest.approx(dict(zip(service.predictor.labels, mean, strict=True)))
    assert found.about == "The mean over 4 windows of 4 s, of a recording of 7.0 s."


def test_each_of_several_checkpoints_is_shown_by_itself(service):
    for seconds in (1, 7):
        members = analyse(service, speech(seconds), 4, 1).members
        assert [name for name, _, _ in members] == [member.name for member in service.predictor.members]


def test_what_no_frame_fits_into_and_what_is_longer_than_the_limit_is_not_answered(service):
    with pytest.raises(UnreadableAudio, match="too short"):
        service.windows(wav(np.zeros(100), subtype="PCM_16"), 4, 1)
    with pytest.raises(UnreadableAudio, match=r"longer than max_minutes=0\.2"):
        service.windows(speech(12.1), 4, 1)
    assert service.windows(speech(12), 4, 1)


def test_a_silent_and_a_clipped_recording_are_told_of_as_predict_does(service):
    silence, loud = np.zeros(16000 * 6), np.clip(9 * tone(6), -1, 1)
    assert oddity(np.full(99, 32767, np.int16)) == CLIPPED
    quiet_then_loud = np.concatenate([silence, 0.5 * tone(1)])
    for samples, warning in (
        (silence, "it is silent (nothing above -60 dB of full scale)"),
        (loud, "it is clipped"),
        (quiet_then_loud, ""),
        (np.concatenate([silence, loud[:16000]]), "it is clipped"),
    ):
        content = wav(samples, subtype="PCM_16")
        assert analyse(service, content, 4, 1).warning == warning
    assert service.whole(wav(silence[:16000], subtype="PCM_16")).warning.startswith("it is silent")


def test_a_hop_that_makes_hours_of_minutes_is_refused(service):
    with pytest.raises(UserError, match="a quarter of window=4"):
        service.windows(speech(), 4, 0.9)


@pytest.mark.parametrize(
    ("emotions", "words"),
    [
        ("aab", "Likeliest: a from 0 s, then b from 2 s."),
        ("aaa", "Likeliest: a from 0 s."),
        ("abababa", "The likeliest emotion changes 6 times."),
    ],
)
def test_the_course_is_put_into_words(emotions, words):
    answers = [Answer("-", place, place + 4, Said(name, np.ones(1), [])) for place, name in enumerate(emotions)]
    assert course(answers) == words
