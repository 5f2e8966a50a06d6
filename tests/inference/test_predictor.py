import json

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.toys import as_array, clips, configured, saved
from scipy.special import softmax

from ser.config import Ensemble
from ser.data.silence import speech_span
from ser.errors import UserError
from ser.evaluation.perturbed import perturb
from ser.inference.member import MAX_BATCH_SAMPLES, split_batches
from ser.inference.predictor import Predictor


def predictor(*folders, ensemble=Ensemble.mean, batch_size=4, **options):
    return Predictor.from_checkpoints([str(folder) for folder in folders], ensemble, batch_size, **options)


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_a_clip_has_the_same_prediction_alone_and_among_others(norm, tmp_path):
    one = predictor(saved(tmp_path / "a", norm=norm))
    some = clips(0.3, 1.1, 0.5, 2.0, 0.7, 0.3)
    together = as_array(one.predict(some))
    for index, clip in enumerate(some):
        assert np.allclose(as_array(one.predict([clip]))[0], together[index], atol=1e-6)
    assert np.ptp(together, axis=0).max() > 1e-3, "the toy predicts different clips differently"


def test_a_prediction_is_named_by_the_checkpoint_and_sums_to_one(tmp_path):
    (prediction,) = predictor(saved(tmp_path / "a", labels=("up", "down"))).predict(clips(0.5))
    assert list(prediction.probabilities) == ["up", "down"]
    assert prediction.emotion == max(prediction.probabilities, key=prediction.probabilities.get)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.members == ()


def test_several_checkpoints_predict_the_mean_of_their_probabilities(tmp_path):
    folders = [saved(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    some = clips(0.5, 0.8)
    each = [as_array(predictor(folder).predict(some)) for folder in folders]
    together = predictor(*folders).predict(some)
    assert np.allclose(as_array(together), np.mean(each, axis=0))
    assert np.allclose([as_array(one.members) for one in together], np.swapaxes(each, 0, 1))


def test_a_temperature_divides_the_logits_of_a_model_and_the_predicted_emotions_stay(tmp_path):
    folder, some = saved(tmp_path / "a"), clips(0.5, 0.8)
    logits = np.log(as_array(predictor(folder).predict(some)))
    softened = predictor(folder, temperature=2.5).predict(some)
    assert np.allclose(as_array(softened), softmax(logits / 2.5, axis=1))
    assert [one.emotion for one in softened] == [one.emotion for one in predictor(folder).predict(some)]
    embedded = predictor(folder, temperature=2.5, embeds=True).predict(some)
    assert np.allclose(as_array(embedded), as_array(softened))


def test_the_temperature_of_an_ensemble_is_that_of_its_mean(tmp_path):
    folders, some = [saved(tmp_path / name, seed=seed) for seed, name in enumerate("ab")], clips(0.5)
    mean = np.log(as_array(predictor(*folders).predict(some)))
    (softened,) = predictor(*folders, temperature=2.5).predict(some)
    assert np.allclose(as_array([softened]), softmax(mean / 2.5, axis=1))
    assert np.allclose(as_array(softened.members), [as_array(predictor(folder).predict(some))[0] for folder in folders])


def test_only_a_softmax_has_a_temperature(tmp_path):
    folder = configured(saved(tmp_path / "a"), problem_type="multi_label_classification")
    with pytest.raises(UserError, match=r"temperature=2: the head of .*a is a sigmoid, and only a softmax"):
        predictor(folder, temperature=2.0)
    with pytest.raises(UserError, match="temperature=2: shares of votes have no temperature; give ensemble=mean"):
        composed("predict", "checkpoint=[a,b]", "audio=a.wav", "temperature=2", "ensemble=vote")


def test_labels_in_another_order_are_brought_into_that_of_the_first(tmp_path):
    labels = ("angry", "calm", "sad")
    first, second = saved(tmp_path / "a", labels=labels), saved(tmp_path / "b", labels=labels[::-1])
    config = json.loads((second / "config.json").read_text())
    assert config["id2label"]["0"] == "sad"
    (alone,) = predictor(second).predict(clips(0.5))
    (together,) = predictor(first, second).predict(clips(0.5))
    assert list(together.members[1].probabilities) == list(labels)
    assert together.members[1].probabilities == pytest.approx(alone.probabilities)


def test_checkpoints_of_other_emotions_do_not_predict_together(tmp_path):
    with pytest.raises(UserError, match="cannot predict together"):
        predictor(saved(tmp_path / "a", labels=("up", "down")), saved(tmp_path / "b", labels=("up", "left")))


def test_a_vote_counts_heads_and_the_mean_decides_between_equal_ones(tmp_path, monkeypatch):
    voters = predictor(*(saved(tmp_path / name, labels=("a", "b", "c")) for name in "123"), ensemble=Ensemble.vote)
    given = iter(
        [[[0.4, 0.6, 0.0], [0.5, 0.4, 0.1]], [[0.4, 0.6, 0.0], [0.0, 0.9, 0.1]], [[1.0, 0.0, 0.0], [0.1, 0.3, 0.6]]]
    )
    monkeypatch.setattr("ser.inference.checkpoint_member.CheckpointMember.predict", lambda *_: np.array(next(given)))
    voted = voters.predict(clips(0.5, 0.5))
    assert [one.emotion for one in voted] == ["b", "b"], "two of three; and of three single votes the mean decides"
    assert [[member.emotion for member in one.members] for one in voted] == [["b", "b", "a"], ["a", "b", "c"]]
    assert np.allclose(as_array(voted), [[1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_a_checkpoint_that_was_trained_on_trimmed_clips_gets_trimmed_ones(tmp_path):
    (clip,) = clips(1.0)
    padded = np.pad(clip, 16000)
    trimming, whole = (predictor(saved(tmp_path / str(trim), trim=trim)) for trim in (True, False))
    (spoken,) = as_array(trimming.predict([padded[slice(*speech_span(padded))]]))
    assert np.allclose(as_array(trimming.predict([padded]))[0], spoken, atol=1e-6)
    assert not np.allclose(as_array(whole.predict([padded]))[0], spoken, atol=1e-6)


def test_a_checkpoint_whose_logits_are_no_numbers_is_refused(tmp_path):
    one = predictor(saved(tmp_path / "a"))
    torch.nn.init.constant_(one.members[0].classifier.classifier.bias, float("nan"))
    with pytest.raises(UserError, match="its logits are not finite numbers"):
        one.predict(clips(0.5))


def test_long_clips_come_in_small_batches_and_none_is_lost():
    lengths = [MAX_BATCH_SAMPLES // 3] * 7 + [MAX_BATCH_SAMPLES * 2] * 2 + [100] * 5
    batches = list(split_batches(lengths, batch_size=8, equal_lengths=False))
    assert sorted(index for batch in batches for index in batch) == list(range(14))
    assert all(len(batch) == 1 or len(batch) * lengths[batch[-1]] <= MAX_BATCH_SAMPLES for batch in batches)
    assert list(split_batches([100] * 5, batch_size=8, equal_lengths=False)) == [[0, 1, 2, 3, 4]]


def test_a_prediction_over_copies_is_the_mean_of_the_clip_and_its_copies_by_each_checkpoint(tmp_path):
    folders = [saved(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    some = clips(0.5, 0.8)
    together = predictor(*folders, copies=2).predict(some)
    for number, folder in enumerate(folders):
        alone = predictor(folder)
        each = [as_array(alone.predict([perturb(c, n) for c in some])) for n in (1, 2)]
        expected = np.mean([as_array(alone.predict(some)), *each], axis=0)
        assert np.allclose(as_array([one.members[number] for one in together]), expected, atol=1e-6)
        assert not np.allclose(expected, as_array(alone.predict(some)), atol=1e-4)
