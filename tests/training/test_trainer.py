from types import SimpleNamespace

import pytest
import torch
from conftest import composed
from helpers.tiny_trainers import SHAPE, Watched, ready
from transformers import Wav2Vec2Config

from ser.acceleration.attention import MASKED_SDPA
from ser.data.dataset import WaveformCollator, WaveformDataset
from ser.models.classifiers import Wav2Vec2ForSequenceClassification
from ser.training.arguments import build_arguments
from ser.training.trainer import EmotionTrainer

# Every option for rare emotions that changes the loss.
OBJECTIVE = ("trainer.class_weights=balanced", "trainer.focal_gamma=2", "trainer.label_smoothing=0.1")


def trained(prepared, tmp_path, *overrides, frozen=False, **kwargs):
    """A trainer that has run over equally long clips, so that only what a test changes can differ."""
    trainer = ready(prepared, tmp_path, *overrides, **kwargs)
    model = trainer.model
    if frozen:
        model.freeze_feature_encoder()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer.train()
    return SimpleNamespace(trainer=trainer, model=model, before=before, log=trainer.state.log_history)


@pytest.mark.parametrize("objective", [(), OBJECTIVE], ids=["cross-entropy", "weights, focal, smoothing"])
def test_accumulation_gives_the_loss_and_the_gradient_of_the_larger_batch(objective, prepared, tmp_path):
    large, small = (
        trained(
            prepared,
            tmp_path / str(accumulated),
            f"trainer.per_device_train_batch_size={8 // accumulated}",
            f"trainer.gradient_accumulation_steps={accumulated}",
            *objective,
            repetitions=(7, 1, 1, 1, 1, 1, 2, 2),  # so that the weights of two micro-batches differ in sum
        )
        for accumulated in (1, 2)
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
    run = trained(prepared, tmp_path, "trainer.learning_rate=1e-4", "trainer.head_learning_rate=1e-2")
    rates = {}
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    for group in run.trainer.optimizer.param_groups:
        for parameter in group["params"]:
            rates[names[id(parameter)]] = group["initial_lr"]
    assert {rates[name] for name in rates if name.startswith(("projector", "classifier"))} == {1e-2}
    assert {rates[name] for name in rates if name.startswith("wav2vec2")} == {1e-4}
    assert len(rates) == len(names)


@pytest.mark.parametrize("objective", [(), OBJECTIVE], ids=["cross-entropy", "weights, focal, smoothing"])
def test_training_accuracy_is_logged_beside_the_loss(objective, prepared, tmp_path):
    run = trained(prepared, tmp_path, *objective)
    steps = [entry for entry in run.log if "loss" in entry]
    assert len(steps) == 2
    assert all(0 <= entry["accuracy"] <= 1 for entry in steps)
    assert all(entry["accuracy"] * 8 == pytest.approx(round(entry["accuracy"] * 8)) for entry in steps)


# Eleven clips of the first emotion, one of the second, two of the third; w = 14 / (3 n).
UNEVEN = (11, 1, 2, 0, 0, 0, 0, 0)
WEIGHTS = torch.tensor([14 / 33, 14 / 3, 14 / 6, 0, 0, 0, 0, 0])


def one_batch(trainer):
    """One clip of each of the three emotions, on the trainer's device."""
    return trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[index] for index in (0, 11, 12)]))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.class_weights=balanced", lambda p, y: (WEIGHTS[y] * -p.log()[range(3), y]).mean()),
        ("trainer.focal_gamma=2", lambda p, y: ((1 - p[range(3), y]) ** 2 * -p.log()[range(3), y]).mean()),
        ("trainer.label_smoothing=0.3", lambda p, y: -(0.7 * p.log()[range(3), y] + 0.3 * p.log().mean(dim=1)).mean()),
    ],
)
def test_an_option_changes_the_loss_of_training_by_its_formula(override, expected, prepared, tmp_path):
    trainer = ready(prepared, tmp_path, override, repetitions=UNEVEN)
    trainer.model.classifier.bias.data.copy_(torch.arange(8.0) / 2)  # a new head gives every emotion alike
    trainer.model.train()
    loss, outputs = trainer.compute_loss(trainer.model, one_batch(trainer), return_outputs=True)
    probability, labels = outputs.logits.detach().cpu().softmax(dim=-1), torch.tensor([0, 1, 2])
    assert loss.item() == pytest.approx(expected(probability, labels).item(), rel=1e-5)
    assert loss.item() != pytest.approx(torch.nn.functional.nll_loss(probability.log(), labels).item(), rel=0.02)
    assert outputs.loss is None  # no second loss is computed beside it


def test_without_options_training_minimises_the_models_own_loss(prepared, tmp_path):
    trainer = ready(prepared, tmp_path)
    trainer.model.train()
    loss, outputs = trainer.compute_loss(trainer.model, one_batch(trainer), return_outputs=True)
    assert loss is outputs.loss


def test_evaluation_measures_the_plain_cross_entropy_whatever_training_minimises(prepared, tmp_path):
    plain, other = (
        ready(prepared, tmp_path / name, *objective, repetitions=UNEVEN).evaluate()["eval_loss"]
        for name, objective in {"plain": (), "other": OBJECTIVE}.items()
    )
    assert plain == other


def epochs(trainer, count):
    """The labels of the clips that are trained on, epoch by epoch."""
    loader, found = trainer.get_train_dataloader(), []
    for epoch in range(count):
        trainer.state.epoch = epoch
        found.append([label for batch in loader for label in batch["labels"].tolist()])
    return found


def test_balanced_sampling_fills_an_epoch_with_every_emotion_alike(prepared, tmp_path):
    few = (110, 10, 20, 0, 0, 0, 0, 0)
    plain, balanced = (
        epochs(ready(prepared, tmp_path, f"trainer.balanced_sampling={choice}", repetitions=few), 3)
        for choice in ("false", "true")
    )
    assert [sorted(epoch) for epoch in plain] == [[0] * 110 + [1] * 10 + [2] * 20] * 3
    drawn = [label for epoch in balanced for label in epoch]
    # 420 draws, 140 expected of each emotion: a standard deviation of 10.
    assert [drawn.count(emotion) for emotion in range(8)] == pytest.approx([140] * 3 + [0] * 5, abs=40)
    assert {len(epoch) for epoch in balanced} == {140}
    assert balanced[0] != balanced[1] != balanced[2]


def test_balanced_sampling_follows_the_seed_of_the_run(prepared, tmp_path):
    first, again, other = (
        epochs(ready(prepared, tmp_path, "trainer.balanced_sampling=true", f"seed={seed}"), 2) for seed in (0, 0, 1)
    )
    assert first == again != other


def of_all_lengths(prepared, tmp_path, *overrides):
    """A trainer over the whole toy corpus: 8 emotions in each of 48 lengths."""
    cfg = composed("train", "tracking=none", "trainer.precision=fp32", *overrides)
    return EmotionTrainer(
        model=Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE)),
        args=build_arguments(cfg, tmp_path / "run"),
        data_collator=WaveformCollator(True),
        train_dataset=WaveformDataset(prepared, prepared.utterances, trim=False),
        eval_dataset=WaveformDataset(prepared, prepared.utterances, trim=False),
        options=cfg.trainer,
    )


@pytest.mark.parametrize("balanced", ["false", "true"])
def test_bucketed_batches_hold_clips_of_like_length(balanced, prepared, tmp_path):
    plain, bucketed = (
        list(of_all_lengths(prepared, tmp_path, *overrides).get_train_dataloader())
        for overrides in ((), ("trainer.bucket_by_length=true", f"trainer.balanced_sampling={balanced}"))
    )
    kept = [sum(batch["attention_mask"].sum() for batch in epoch) for epoch in (plain, bucketed)]
    padded = [sum(batch["attention_mask"].numel() for batch in epoch) for epoch in (plain, bucketed)]
    assert [len(batch["labels"]) for batch in bucketed] == [4] * 96
    assert kept[0] / padded[0] < 0.97
    assert kept[1] / padded[1] > 0.998
    heard_once = kept[0] == kept[1]
    assert heard_once == (balanced == "false")


# With batches of 4 an epoch of 16 clips has 4 steps: 4 ends the first, 6 is in the middle of the second.
@pytest.mark.parametrize("order", ["balanced_sampling", "bucket_by_length"])
@pytest.mark.parametrize("step", [4, 6])
def test_a_resumed_run_draws_what_an_uninterrupted_one_draws(step, order, prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPE, "mask_time_prob", 0.5)
    monkeypatch.setitem(SHAPE, "mask_time_length", 2)
    overrides = (
        "trainer=laptop",
        f"trainer.{order}=true",
        "trainer.precision=fp32",
        "trainer.max_steps=12",
        "trainer.per_device_train_batch_size=4",
        "trainer.eval_strategy=steps",
        "trainer.save_total_limit=12",
    )
    whole = trained(prepared, tmp_path, *overrides)
    resumed = ready(prepared, tmp_path, *overrides)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{step}"))
    losses = [[entry["loss"] for entry in log if "loss" in entry] for log in (whole.log, resumed.state.log_history)]
    assert len(losses[0]) == 12
    assert losses[0] == losses[1]


def test_a_group_norm_encoder_is_evaluated_without_padding(prepared, tmp_path):
    shape = {**SHAPE, "feat_extract_norm": "group", "do_stable_layer_norm": False}
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**shape))
    cfg = composed("train", "tracking=none")
    trainer = EmotionTrainer(
        model=model,
        args=build_arguments(cfg, tmp_path),
        data_collator=WaveformCollator(True),
        eval_dataset=WaveformDataset(prepared, prepared.utterances[:48], trim=False),
        options=cfg.trainer,
    )
    batches = list(trainer.get_eval_dataloader())
    assert all(batch["attention_mask"].all() for batch in batches)
    assert sum(len(batch["labels"]) for batch in batches) == 48


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_an_evaluation_in_bf16_on_a_cpu_casts_the_weights_once_for_all_its_batches(precision, prepared, tmp_path):
    trainer, around = ready(prepared, tmp_path, f"trainer.precision={precision}"), []
    # The Trainer's own autocast begins behind this hook.
    trainer.model.register_forward_pre_hook(lambda *_: around.append(torch.is_autocast_enabled("cpu")))
    trainer.evaluate()
    assert set(around) == {precision == "bf16"}
    assert not torch.is_autocast_enabled("cpu")


def test_training_is_masked_anew_in_every_epoch_and_evaluation_never(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPE, "mask_time_prob", 0.5)
    monkeypatch.setitem(SHAPE, "mask_time_length", 2)
    trainer = ready(prepared, tmp_path)
    assert all("mask_time_indices" not in batch for batch in trainer.get_eval_dataloader())
    clips = [trainer.train_dataset[index] for index in range(4)]
    masks = []
    for epoch in (0.0, 0.5, 1.0):
        trainer.state.epoch = epoch
        masks.append(trainer.data_collator(clips)["mask_time_indices"])
    assert masks[0].any()
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize("objective", [(), OBJECTIVE], ids=["cross-entropy", "weights, focal, smoothing"])
def test_no_step_of_training_waits_for_the_device(objective, prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPE, "mask_time_prob", 0.5)
    monkeypatch.setitem(SHAPE, "mask_time_length", 2)
    trainer = ready(prepared, tmp_path, "trainer=fast", "trainer.precision=bf16", "trainer.max_steps=2", *objective)
    watched = Watched()
    trainer.add_callback(watched)
    trainer.model.set_attn_implementation(MASKED_SDPA)
    # Older releases of transformers draw LayerDrop as a tensor on the host and read it: no device is waited for.
    draw = torch.rand
    monkeypatch.setattr(torch, "rand", lambda *size, **rest: 0.5 if size == ([],) else draw(*size, **rest))
    trainer.train()
    assert watched.steps == 2


def test_the_evaluation_loss_is_a_mean_over_clips_however_they_are_batched(prepared, tmp_path):
    few = ("trainer.max_steps=1", "trainer.eval_steps=1", "trainer.save_steps=1")
    whole, uneven = (
        trained(prepared, tmp_path / str(size), *few, f"trainer.per_device_eval_batch_size={size}").log
        for size in (8, 3)
    )
    losses = [entry["eval_loss"] for log in (whole, uneven) for entry in log if "eval_loss" in entry]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_balanced_corpora_are_equally_frequent_in_an_epoch(prepared, tmp_path):
    few = (110, 10, 20, 0, 0, 0, 0, 0)
    trainer = ready(prepared, tmp_path, "trainer.balanced_corpora=true", repetitions=few)
    labels = trainer.training_labels()
    trainer._corpora = (labels == 1).astype(int)
    drawn = [label for epoch in epochs(trainer, 3) for label in epoch]
    assert drawn.count(1) == pytest.approx(210, abs=42)  # half of 420; a standard deviation of 10
    assert drawn.count(0) > 3 * drawn.count(2)  # inside a corpus the clips are equally likely
