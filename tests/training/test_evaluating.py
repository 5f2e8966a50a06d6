import numpy as np
import pytest
import torch
from helpers.tiny_trainers import ready

from ser.data.dataset import WaveformDataset


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_batches_that_two_threads_evaluate_give_the_metrics_of_one(precision, prepared, tmp_path, monkeypatch):
    trainer = ready(prepared, tmp_path, f"trainer.precision={precision}", "trainer.per_device_eval_batch_size=3")
    clips = WaveformDataset(prepared, prepared.utterances[:40], trim=False)
    seen = []
    trainer.model.register_forward_pre_hook(
        lambda *_: seen.append((torch.get_num_threads(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()))
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = trainer.evaluate(clips)
        torch.set_num_threads(2)
        together = trainer.evaluate(clips)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {(1, precision == "bf16", False)}
    assert len(seen) == 2 * 14
    assert together["eval_loss"] == pytest.approx(alone["eval_loss"], rel=1e-6)
    assert together["eval_accuracy"] == alone["eval_accuracy"]


def test_the_logits_of_an_evaluation_come_in_the_order_of_the_clips(prepared, tmp_path):
    trainer = ready(prepared, tmp_path, "trainer.per_device_eval_batch_size=3")
    clips = WaveformDataset(prepared, prepared.utterances[:40], trim=False)
    one, several = (trainer.evaluate_share(clips, workers) for workers in (1, 3))
    assert several.label_ids.tolist() == clips.labels().tolist()
    np.testing.assert_allclose(several.predictions, one.predictions, atol=1e-6)
