import numpy as np
import pytest
from helpers.toys import as_array, clips, saved

from ser.config import Ensemble
from ser.inference.predictor import Predictor
from ser.inference.windows import predict_windows


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor.from_checkpoints([str(saved(tmp_path_factory.mktemp("toy") / "a"))], Ensemble.mean, 4)


def blocks(clip, size):
    return [clip[start : start + size] for start in range(0, len(clip), size)]


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("size", [160, 10**6])
def test_a_second_of_audio_has_one_prediction_alone_in_a_window_and_live(size, at_once, predictor):
    (clip,) = clips(2.6)
    predicted = list(predict_windows("a", blocks(clip, size), 1, 0.5, predictor, at_once))
    assert [(one.start, one.end) for one in predicted] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5), (1.6, 2.6)]
    for one in predicted:
        alone = as_array(predictor.predict([clip[int(one.start * 16000) : int(one.end * 16000)]]))
        assert np.allclose(as_array([one.prediction]), alone, atol=1e-6)


def test_a_live_prediction_comes_before_the_next_block(predictor):
    (clip,) = clips(2)
    asked = []

    def arriving():
        for block in blocks(clip, 8000):
            asked.append(1)
            yield block

    next(predict_windows("a", arriving(), 1, 1, predictor, at_once=1))
    assert len(asked) == 2
