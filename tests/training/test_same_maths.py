"""The fast way trains the same thing as the plain one: loss by loss, on the same batches."""

import pytest
import torch
import transformers
from conftest import composed
from helpers.tiny_trainers import SHAPE
from torch.utils.data import SequentialSampler
from transformers import Trainer, Wav2Vec2Config, Wav2Vec2FeatureExtractor, set_seed

from ser.acceleration import cached_features, feature_cache
from ser.acceleration.frozen_cnn import FrozenCnn
from ser.data.dataset import WaveformCollator, WaveformDataset
from ser.models.classifiers import Wav2Vec2ForSequenceClassification
from ser.training.arguments import build_arguments
from ser.training.evaluating import validation_metrics
from ser.training.trainer import EmotionTrainer

STEPS = 20
EVERY = [f"trainer.{name}={STEPS}" for name in ("max_steps", "eval_steps", "save_steps")]


def options(tmp_path, *overrides):
    cfg = composed(
        "train", "tracking=none", "trainer.logging_steps=1", "trainer.learning_rate=3e-3", *EVERY, *overrides
    )
    return cfg.trainer, build_arguments(cfg, tmp_path / "run")


def losses(trainer):
    trainer.train()
    return torch.tensor([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])


class InOrder:
    """Both sides hear the same clips in the same steps."""

    def _get_train_sampler(self, *args):
        return SequentialSampler(self.train_dataset)


class Plain(InOrder, Trainer):
    pass


class Fast(InOrder, EmotionTrainer):
    pass


@pytest.fixture
def same(prepared):
    """The weights that both start from, and clips of unequal length."""
    set_seed(0)
    weights = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE)).state_dict()
    weights["classifier.weight"] *= 100  # a head that is sure of itself: every step has another loss, and much to learn
    return weights, WaveformDataset(prepared, prepared.utterances[:160], trim=False)


def plain(same, tmp_path):
    """The stock classifier and Trainer in float32 with eager attention, 2 x 4 clips, nothing cached."""
    weights, clips = same
    config = Wav2Vec2Config(**SHAPE, attn_implementation="eager")
    model = transformers.Wav2Vec2ForSequenceClassification(config)
    model.load_state_dict(weights)
    model.freeze_feature_encoder()
    model.accepts_loss_kwargs = False  # or the stock head would not divide by the accumulation
    _, arguments = options(tmp_path, "trainer.precision=fp32")
    return losses(
        Plain(model, arguments, data_collator=WaveformCollator(True), train_dataset=clips, eval_dataset=clips)
    )


def fast(same, tmp_path, precision):
    """Our classifier and Trainer, 8 clips at once, the CNN's output from a file."""
    weights, clips = same
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE))
    model.load_state_dict(weights)
    model.freeze_feature_encoder()
    given, arguments = options(tmp_path, "trainer=fast", f"trainer.precision={precision}")
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    cache = feature_cache.open_or_compute(model, extractor, clips, tmp_path / "features", dtype)
    FrozenCnn().install(model)
    made = cached_features.CachedFeatureDataset(cache, clips)
    return losses(
        Fast(
            model=model,
            args=arguments,
            data_collator=cached_features.CachedFeatureCollator(cache),
            train_dataset=made,
            eval_dataset=made,
            compute_metrics=validation_metrics,
            options=given,
        )
    )


def test_in_float32_the_losses_of_20_steps_are_those_of_the_plain_way(same, tmp_path):
    assert torch.allclose(
        fast(same, tmp_path / "fast", "fp32"), plain(same, tmp_path / "plain"), rtol=1e-4
    )  # rounded to four digits by the Trainer of some releases


def test_in_bfloat16_they_agree_within_its_rounding(same, tmp_path):
    # bfloat16 has 8 bits: a relative error of 0.4 % in each product.
    ours, theirs = fast(same, tmp_path / "fast", "bf16"), plain(same, tmp_path / "plain")
    assert torch.allclose(ours, theirs, rtol=2e-2)
    assert theirs.std() > 0.05  # the steps differ by far more than that
