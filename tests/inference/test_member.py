from threading import Barrier

import numpy as np
import pytest
import torch
from conftest import tone

from ser.inference import checkpoint_member, member
from ser.inference.member import MAX_BATCH_SAMPLES, Member, open_member
from ser.models.outputs import Outputs


class Counting(Member):
    """A member that only plans."""

    def predict(self, clips, batch_size):
        raise NotImplementedError

    def embed(self, clips, batch_size, frames):
        raise NotImplementedError


@pytest.fixture
def counting(tmp_path):
    return Counting("none", tmp_path, False, Outputs(["a", "b"], "softmax"), {})


def logits_of(batch):
    return np.array([[index, -index] for index in batch], dtype=np.float32)


def test_batches_are_computed_side_by_side(counting, monkeypatch):
    monkeypatch.setattr(member, "count_threads", lambda: 2)
    both = Barrier(2, timeout=30)  # passed only while two batches are computed

    def compute(batch):
        both.wait()
        return logits_of(batch)

    order = [[1], [0], [3], [2]]
    logits = counting.compute_side_by_side(compute, order, [1600] * 4)
    assert np.concatenate(logits)[:, 0].tolist() == [1, 0, 3, 2]


@pytest.mark.parametrize(
    ("samples", "workers"),
    [(100, 4), (MAX_BATCH_SAMPLES * 2 // 3, 3), (MAX_BATCH_SAMPLES, 2), (MAX_BATCH_SAMPLES + 1, 1)],
)
def test_batches_side_by_side_hold_no_more_samples_than_two_of_the_largest(samples, workers, counting, monkeypatch):
    used = [1]

    def in_threads(compute, order, at_once, threads):
        used.append(threads)
        return map(compute, order)

    monkeypatch.setattr(member, "count_threads", lambda: 4)
    monkeypatch.setattr("ser.data.parallel.in_threads", in_threads)
    order = [[index] for index in range(6)]
    assert len(counting.compute_side_by_side(logits_of, order, [1] * 5 + [samples])) == 6
    assert used[-1] == workers


@pytest.mark.parametrize("checkpoint", ["fold1", "fold1/onnx/model.onnx", "fold1/onnx"])
def test_predictions_are_the_same_bit_for_bit_side_by_side_and_one_after_the_other(
    checkpoint, exported_run, monkeypatch
):
    opened = open_member(str(exported_run / checkpoint))
    clips = [(32000 * tone(seconds)).astype(np.int16) for seconds in (0.5, 0.9, 0.5, 0.7, 1.4, 0.3)]
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(opened.predict(clips, 2))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*results)


def test_embeddings_are_computed_side_by_side_and_are_the_same_as_one_after_the_other(exported_run, monkeypatch):
    opened = open_member(str(exported_run / "fold1"))
    clips = [(32000 * tone(seconds)).astype(np.int16) for seconds in (0.5, 0.9, 0.5, 0.7, 1.4, 0.3)]
    expected, vectors = opened.embed(clips, 2, frames=False)
    both = Barrier(3, timeout=30)
    compute = checkpoint_member.compute_logits_and_embeddings

    def wait(*words, **named):
        both.wait()
        return compute(*words, **named)

    monkeypatch.setattr(checkpoint_member, "compute_logits_and_embeddings", wait)
    monkeypatch.setattr(member, "count_threads", lambda: 3)
    probabilities, others = opened.embed(clips, 2, frames=False)
    assert np.allclose(probabilities, expected, atol=1e-6)
    assert np.allclose(others, vectors, atol=1e-5)
