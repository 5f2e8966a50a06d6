import numpy as np
import pytest
import torch
from helpers.smallest import toy

from ser.data.dataset import collator_for
from ser.models.forward import compute_logits


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_batches_side_by_side_give_the_logits_of_one_after_the_other_in_their_order(two_threads):
    classifier, extractor = toy("hubert")
    generator = np.random.default_rng(0)
    clips = [(3000 * generator.standard_normal(4000 + 300 * number)).astype(np.int16) for number in range(20)]
    batches = [collator_for(extractor)([{"samples": clip, "label": 0}]) for clip in clips]
    threads = set()
    classifier.register_forward_pre_hook(lambda *_: threads.add(torch.get_num_threads()))
    together = compute_logits(classifier, iter(batches))
    assert threads == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    np.testing.assert_allclose(together, compute_logits(classifier, batches), atol=1e-6)
    assert np.abs(np.diff(together, axis=0)).max() > 1e-3


def test_an_error_of_a_batch_is_raised_and_the_threads_come_back(two_threads):
    classifier, _ = toy("hubert")
    with pytest.raises(RuntimeError):
        compute_logits(classifier, [{"input_values": torch.zeros(1, 3)}] * 9)
    assert torch.get_num_threads() == 2
