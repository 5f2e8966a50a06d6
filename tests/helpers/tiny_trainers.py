"""A trainer before its run, of a model that is trained in a moment, and work for its writer."""

import torch
from conftest import composed
from transformers import TrainerCallback, Wav2Vec2Config, set_seed

from helpers.never_waits import NeverWaits
from ser.augmentation.draw import Augmenter
from ser.data.dataset import WaveformCollator, WaveformDataset
from ser.models.classifiers import Wav2Vec2ForSequenceClassification
from ser.training.arguments import build_arguments
from ser.training.evaluating import validation_metrics
from ser.training.trainer import EmotionTrainer

SHAPE = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(8, 8),
    conv_kernel=(10, 8),
    conv_stride=(5, 64),
    num_feat_extract_layers=2,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
    num_labels=8,
    classifier_proj_size=8,
    feat_extract_norm="layer",
    do_stable_layer_norm=True,
    layerdrop=0.0,
    mask_time_prob=0.0,
    hidden_dropout=0.0,
    attention_dropout=0.0,
    activation_dropout=0.0,
    feat_proj_dropout=0.0,
)


def ready(prepared, tmp_path, *overrides, repetitions=(2,) * 8):
    """A trainer before its run, over so many repetitions of an equally long clip of each emotion."""
    cfg = composed(
        "train",
        "tracking=none",
        "trainer.precision=fp32",
        "trainer.max_steps=2",
        "trainer.logging_steps=1",
        "trainer.eval_steps=2",
        "trainer.save_steps=2",
        *overrides,
    )
    set_seed(0)
    rows = [row for row in prepared.utterances if row.statement == "1" and row.speaker == "3"]
    rows.sort(key=lambda row: prepared.emotions.index(row.emotion))
    clips = WaveformDataset(
        prepared, [row for row, times in zip(rows, repetitions, strict=True) for _ in range(times)], trim=False
    )
    return EmotionTrainer(
        model=Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE)),
        args=build_arguments(cfg, tmp_path / "run"),
        data_collator=WaveformCollator(True),
        train_dataset=clips,
        eval_dataset=WaveformDataset(prepared, rows, trim=False),
        compute_metrics=validation_metrics,
        options=cfg.trainer,
        augmenter=Augmenter(cfg.augment, cfg.seed, clips) if cfg.augment.changes_clips else None,
    )


class Watched(TrainerCallback):
    """Each optimizer step, from the batches in hand to the changed weights, without a look at a value."""

    def __init__(self):
        self.steps = 0

    def on_step_begin(self, *args, **kwargs):
        self.watch = NeverWaits()
        self.watch.__enter__()

    def on_step_end(self, *args, **kwargs):
        self.watch.__exit__(None, None, None)
        self.steps += 1


def slow(done):
    """Work that is certainly not done at once."""
    sum(range(3_000_000))
    done.append("slow")


class AtStep(TrainerCallback):
    """Does something when a step is over, before its checkpoint is taken."""

    def __init__(self, step, what):
        self.step, self.what = step, what

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.what()


def weights_and_moments(trainer):
    optimizer = trainer.optimizer.state_dict()["state"]
    weights = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    return weights, {index: value["exp_avg"].clone() for index, value in optimizer.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
