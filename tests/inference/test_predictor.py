import json

import numpy as np
import pytest
import torch
from helpers.toys import clips, saved

from ser.config import Ensemble
from ser.data.silence import boundaries
from ser.errors import UserError
from ser.inference.predictor import TOGETHER, Predictor, within_memory


def predictor(*folders, ensemble=Ensemble.mean, batch_size=4):
    return Predictor.of([str(folder) for folder in folders], ensemble, batch_size)


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_a_clip_has_the_same_answer_alone_and_among_others(norm, tmp_path):
    one = predictor(saved(tmp_path / "a", norm=norm))
    heard = clips(0.3, 1.1, 0.5, 2.0, 0.7, 0.3)
    together = one.answers(heard)
    for index, clip in enumerate(heard):
        assert np.allclose(one.answers([clip]).shares[0], together.shares[index], atol=1e-6)
    assert np.ptp(together.shares, axis=0).max() > 1e-3, "the toy answers different clips differently"


def test_an_answer_is_named_by_the_checkpoint_and_sums_to_one(tmp_path):
    (said,) = predictor(saved(tmp_path / "a", labels=("up", "down"))).answers(clips(0.5)).each()
    assert said.emotion in ("up", "down")
    assert said.shares.sum() == pytest.approx(1)


def test_several_checkpoints_answer_with_the_mean_of_their_probabilities(tmp_path):
    folders = [saved(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    heard = clips(0.5, 0.8)
    each = [predictor(folder).answers(heard).shares for folder in folders]
    together = predictor(*folders).answers(heard)
    assert np.allclose(together.shares, np.mean(each, axis=0))
    assert np.allclose(together.members, each)


def test_labels_in_another_order_are_brought_into_that_of_the_first(tmp_path):
    labels = ("angry", "calm", "sad")
    first, second = saved(tmp_path / "a", labels=labels), saved(tmp_path / "b", labels=labels[::-1])
    config = json.loads((second / "config.json").read_text())
    assert config["id2label"]["0"] == "sad"
    alone = predictor(second).answers(clips(0.5)).shares
    assert np.allclose(predictor(first, second).answers(clips(0.5)).members[1], alone[:, ::-1])


def test_checkpoints_of_other_emotions_do_not_answer_together(tmp_path):
    with pytest.raises(UserError, match="cannot answer together"):
        predictor(saved(tmp_path / "a", labels=("up", "down")), saved(tmp_path / "b", labels=("up", "left")))


def test_a_vote_counts_heads_and_the_mean_decides_between_equal_ones(tmp_path, monkeypatch):
    voters = predictor(*(saved(tmp_path / name, labels=("a", "b", "c")) for name in "123"), ensemble=Ensemble.vote)
    given = iter(
        [[[0.4, 0.6, 0.0], [0.5, 0.4, 0.1]], [[0.4, 0.6, 0.0], [0.0, 0.9, 0.1]], [[1.0, 0.0, 0.0], [0.1, 0.3, 0.6]]]
    )
    monkeypatch.setattr("ser.inference.predictor.Member.answer", lambda *_: np.array(next(given)))
    answers = voters.answers(clips(0.5, 0.5))
    assert answers.emotions == ["b", "b"], "two of three; and of three single votes the likeliest on average"
    assert np.allclose(answers.shares, [[1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_a_checkpoint_that_was_trained_on_trimmed_clips_hears_trimmed_ones(tmp_path):
    (clip,) = clips(1.0)
    padded = np.pad(clip, 16000)
    trimming, whole = (predictor(saved(tmp_path / str(trim), trim=trim)) for trim in (True, False))
    (spoken,) = trimming.answers([padded[slice(*boundaries(padded))]]).shares
    assert np.allclose(trimming.answers([padded]).shares[0], spoken, atol=1e-6)
    assert not np.allclose(whole.answers([padded]).shares[0], spoken, atol=1e-6)


def test_a_checkpoint_whose_logits_are_no_numbers_is_refused(tmp_path):
    one = predictor(saved(tmp_path / "a"))
    torch.nn.init.constant_(one.members[0].classifier.classifier.bias, float("nan"))
    with pytest.raises(UserError, match="its logits are not finite numbers"):
        one.answers(clips(0.5))


def test_long_clips_come_in_small_batches_and_none_is_lost():
    lengths = [TOGETHER // 3] * 7 + [TOGETHER * 2] * 2 + [100] * 5
    batches = list(within_memory(lengths, batch_size=8, equal_lengths=False))
    assert sorted(index for batch in batches for index in batch) == list(range(14))
    assert all(len(batch) == 1 or len(batch) * lengths[batch[-1]] <= TOGETHER for batch in batches)
    assert list(within_memory([100] * 5, batch_size=8, equal_lengths=False)) == [[0, 1, 2, 3, 4]]
