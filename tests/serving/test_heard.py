import numpy as np
import pytest
from toy_server import random_checkpoint, speech, wav

from ser.config import Combine
from ser.data.audio import UnreadableAudio
from ser.errors import UserError
from ser.inference.answers import Answer
from ser.inference.predictor import Predictor, Said
from ser.serving.heard import course, heard
from ser.serving.listener import Listener


@pytest.fixture(scope="module")
def listener(tmp_path_factory):
    folders = [str(random_checkpoint(tmp_path_factory.mktemp(name))) for name in ("one", "two")]
    return Listener(Predictor.of(folders, Combine.mean, 8), longest=5, max_minutes=0.2)


def test_a_short_recording_has_the_answer_of_the_api_and_no_timeline(listener):
    found, whole = heard(listener, speech(1), 4, 1), listener.whole(speech(1))
    assert dict(found.ranked) == pytest.approx(dict(zip(listener.predictor.labels, whole.said.shares, strict=True)))
    assert [share for _, share in found.ranked] == sorted(whole.said.shares, reverse=True)
    assert found.timeline is None
    assert found.about == "One answer for the whole recording of 1.0 s."


def test_a_recording_longer_than_a_window_has_a_timeline_as_well(listener):
    found, whole = heard(listener, speech(4.5), 4, 1), listener.whole(speech(4.5))
    assert dict(found.ranked)[whole.said.emotion] == pytest.approx(whole.said.shares.max())
    assert found.timeline.startswith("data:image/png;base64,")


def test_a_recording_too_long_for_one_answer_has_the_mean_over_its_windows(listener):
    found, windows = heard(listener, speech(7), 4, 1), listener.windows(speech(7), 4, 1)
    mean = np.mean([answer.said.shares for answer in windows], axis=0)
    assert dict(found.ranked) == pytest.approx(dict(zip(listener.predictor.labels, mean, strict=True)))
    assert found.about == "The mean over 4 windows of 4 s, of a recording of 7.0 s."


def test_each_of_several_checkpoints_is_shown_by_itself(listener):
    for seconds in (1, 7):
        members = heard(listener, speech(seconds), 4, 1).members
        assert [name for name, _, _ in members] == [member.name for member in listener.predictor.members]


def test_what_no_frame_fits_into_and_what_is_longer_than_the_limit_is_not_answered(listener):
    with pytest.raises(UnreadableAudio, match="too short"):
        listener.windows(wav(np.zeros(100), subtype="PCM_16"), 4, 1)
    with pytest.raises(UnreadableAudio, match=r"longer than max_minutes=0\.2"):
        listener.windows(speech(12.1), 4, 1)
    assert listener.windows(speech(12), 4, 1)


def test_a_hop_that_makes_hours_of_minutes_is_refused(listener):
    with pytest.raises(UserError, match="a quarter of window=4"):
        listener.windows(speech(), 4, 0.9)


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
