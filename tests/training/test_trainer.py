from types import SimpleNamespace

import pytest
import torch
from conftest import composed
from transformers import Wav2Vec2Config, set_seed

from ser.data.batches import Clips, Collator
from ser.models.classifiers import Wav2Vec2ForSequenceClassification
from ser.training.arguments import training_arguments
from ser.training.trainer import EmotionTrainer, validation_metrics

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


def trained(prepared, tmp_path, *overrides, head_learning_rate=None, frozen=False):
    """A trainer that has run over equally long clips, in order, so that only what a test changes can differ."""
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
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE))
    if frozen:
        model.freeze_feature_encoder()
    rows = [row for row in prepared.utterances if row.statement == "1" and row.speaker == "3"] * 4
    trainer = EmotionTrainer(
        model=model,
        args=training_arguments(cfg, tmp_path / "run"),
        data_collator=Collator(True),
        train_dataset=Clips(prepared, rows[:16]),
        eval_dataset=Clips(prepared, rows[:8]),
        compute_metrics=validation_metrics,
        head_learning_rate=head_learning_rate,
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer.train()
    return SimpleNamespace(trainer=trainer, model=model, before=before, log=trainer.state.log_history)


def test_accumulation_gives_the_loss_and_the_gradient_of_the_larger_batch(prepared, tmp_path):
    large = trained(
        prepared, tmp_path / "a", "trainer.per_device_train_batch_size=8", "trainer.gradient_accumulation_steps=1"
    )
    small = trained(
        prepared, tmp_path / "b", "trainer.per_device_train_batch_size=4", "trainer.gradient_accumulation_steps=2"
    )
    for one, two in zip(large.log[:2], small.log[:2], strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-3)
    assert large.log[0]["loss"] < 4  # near ln 8; the stock head would log twice that with accumulation


def test_one_step_changes_every_trained_tensor_and_no_frozen_one(prepared, tmp_path):
    one_step = ("trainer.max_steps=1", "trainer.eval_steps=1", "trainer.save_steps=1")
    run = trained(prepared, tmp_path, *one_step, frozen=True)
    changed = {name for name, tensor in run.model.named_parameters() if not torch.equal(tensor, run.before[name])}
    cnn = {name for name in run.before if name.startswith("wav2vec2.feature_extractor.")}
    assert cnn
    # The bias of a key shifts every score of a row alike, which the softmax undoes: its gradient is rounding.
    idle = {name for name in run.before if name.endswith("k_proj.bias")}
    assert changed - idle == run.before.keys() - cnn - idle


def test_the_head_has_its_own_learning_rate(prepared, tmp_path):
    run = trained(prepared, tmp_path, "trainer.learning_rate=1e-4", head_learning_rate=1e-2)
    rates = {}
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    for group in run.trainer.optimizer.param_groups:
        for parameter in group["params"]:
            rates[names[id(parameter)]] = group["initial_lr"]
    assert {rates[name] for name in rates if name.startswith(("projector", "classifier"))} == {1e-2}
    assert {rates[name] for name in rates if name.startswith("wav2vec2")} == {1e-4}
    assert len(rates) == len(names)


def test_training_accuracy_is_logged_beside_the_loss(prepared, tmp_path):
    run = trained(prepared, tmp_path)
    steps = [entry for entry in run.log if "loss" in entry]
    assert len(steps) == 2
    assert all(0 <= entry["accuracy"] <= 1 for entry in steps)
    assert all(entry["accuracy"] * 8 == pytest.approx(round(entry["accuracy"] * 8)) for entry in steps)


def test_a_group_norm_encoder_is_evaluated_without_padding(prepared, tmp_path):
    shape = {**SHAPE, "feat_extract_norm": "group", "do_stable_layer_norm": False}
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**shape))
    trainer = EmotionTrainer(
        model=model,
        args=training_arguments(composed("train", "tracking=none"), tmp_path),
        data_collator=Collator(True),
        eval_dataset=Clips(prepared, prepared.utterances[:48]),
        head_learning_rate=None,
    )
    batches = list(trainer.get_eval_dataloader())
    assert all(batch["attention_mask"].all() for batch in batches)
    assert sum(len(batch["labels"]) for batch in batches) == 48
