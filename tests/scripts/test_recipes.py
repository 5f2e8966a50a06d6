"""scripts/recipes.py: each technique computes its formula, and the table compares what was trained."""

import json
import re
from pathlib import Path

import pytest
import torch
from helpers import smallest, tiny_trainers
from helpers.compositions import SMALL
from torch.nn import functional

from ser.data.dataset import WaveformDataset
from ser.errors import UserError
from ser.experiments import train as experiment
from ser.training import build
from ser.training.trainer import EmotionTrainer

LAST = ("trainer.choose=last", "trainer.early_stopping_patience=null")
EPOCHS = (
    *LAST, "trainer.per_device_train_batch_size=8", "trainer.max_steps=-1", "trainer.eval_strategy=epoch",
    "trainer.learning_rate=1e-2",
)  # fmt: skip
"""Two steps in each epoch of the 16 clips of `ready`."""
DROPS = ("hidden_dropout", "attention_dropout")


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scripts"))
    import recipes

    return recipes


@pytest.fixture
def trainer_of(recipes, monkeypatch, prepared, tmp_path):
    """A function that returns a tiny trainer of a recipe before its run, whose clips are of several speakers."""

    def make(name, *overrides, **shape):
        rows = [row for row in prepared.utterances if row.speaker in ("3", "4") and row.statement == "1"]
        clips, recipe = WaveformDataset(prepared, rows, trim=False), recipes.find_recipe(name)
        monkeypatch.setattr(
            tiny_trainers, "EmotionTrainer", lambda **given: recipe(**{**given, "train_dataset": clips})
        )
        for key, value in shape.items():
            monkeypatch.setitem(tiny_trainers.SHAPE, key, value)
        return tiny_trainers.ready(prepared, tmp_path, "trainer.gradient_accumulation_steps=1", *overrides)

    return make


def recorded(trainer, event):
    """Copies of the weights, first those before training, then those at each `event` of it."""
    found = [weights(trainer)]

    class Recorder(tiny_trainers.TrainerCallback):
        pass

    setattr(Recorder, event, lambda *args, **kwargs: found.append(weights(trainer)))
    trainer.add_callback(Recorder())
    return found


def weights(trainer):
    return {name: tensor.detach().clone() for name, tensor in trainer.model.named_parameters()}


def gradients(trainer):
    return {name: tensor.grad.clone() for name, tensor in trainer.model.named_parameters()}


def batch_of(trainer):
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1  # as `train` sets it
    return trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[index] for index in (0, 3, 8, 13)]))


def plain_pass(trainer, batch):
    """The outputs of a pass of the model alone."""
    return trainer.model(**{name: tensor for name, tensor in batch.items() if name != "speakers"})


def test_ema_ends_with_the_moving_average_of_the_steps(trainer_of):
    trainer = trainer_of("ema=0.5", *EPOCHS, "trainer.num_train_epochs=2")
    recording = recorded(trainer, "on_step_end")
    trainer.train()
    mean, *steps = recording
    assert len(steps) == 4
    for step in steps:
        mean = {name: 0.5 * mean[name] + 0.5 * step[name] for name in mean}
    torch.testing.assert_close(weights(trainer), mean)
    assert not tiny_trainers.equal(weights(trainer), steps[-1])


def test_mean_of_last_ends_with_the_mean_of_the_ends_of_three_epochs(trainer_of):
    trainer = trainer_of("mean_of_last", *EPOCHS, "trainer.num_train_epochs=4")
    recording = recorded(trainer, "on_epoch_end")
    trainer.train()
    _, *ends = recording
    assert len(ends) == 4
    mean = {name: (ends[1][name] + ends[2][name] + ends[3][name]) / 3 for name in ends[0]}
    torch.testing.assert_close(weights(trainer), mean)


def test_layer_decay_lowers_the_rate_towards_the_input(trainer_of):
    words = ("trainer.learning_rate=1e-3", "trainer.head_learning_rate=1e-2")
    trainer = trainer_of("layer_decay", *words, num_hidden_layers=3)
    groups = trainer.create_optimizer().param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    found = {name: rates[id(parameter)] / 1e-3 for name, parameter in trainer.model.named_parameters()}
    expected = {"encoder.layers.0.": 0.64, "encoder.layers.1.": 0.8, "encoder.layers.2.": 1, "encoder.layer_norm.": 1}
    for name, factor in found.items():
        place = re.match(r"encoder\.(layers\.\d|layer_norm)\.", name.removeprefix("wav2vec2."))
        head = name.startswith(("projector", "classifier"))
        assert factor == pytest.approx(10 if head else expected[place[0]] if place else 0.8**3), name
    assert groups[0]["lr"] == 1e-3  # that of the log
    trainer.model, _ = smallest.toy("moonshine")
    factors = [trainer.factor(name) for name in ("encoder.conv1.weight", "encoder.layers.0.x", "encoder.layer_norm.x")]
    assert factors == [0.8, 1, 1]


def test_head_first_leaves_the_encoder_alone_for_an_epoch(trainer_of):
    trainer = trainer_of("head_first", *EPOCHS, "trainer.num_train_epochs=2", "trainer.weight_decay=0.1")
    recording = recorded(trainer, "on_epoch_end")
    trainer.train()
    before, first, second = recording
    encoder = [name for name in before if name.startswith("wav2vec2.") and not name.endswith("k_proj.bias")]
    assert all(torch.equal(before[name], first[name]) for name in encoder)
    assert not torch.equal(before["classifier.weight"], first["classifier.weight"])
    changed = [name for name in encoder if not torch.equal(first[name], second[name])]
    assert set(encoder) - set(changed) <= {"wav2vec2.masked_spec_embed"}


def test_sam_takes_the_gradient_uphill_and_draws_as_one_pass(trainer_of):
    trainer = trainer_of("sam=0.5", **dict.fromkeys(DROPS, 0.2))
    batch, before = batch_of(trainer), weights(trainer)
    trainer.model.zero_grad()

    torch.manual_seed(5)
    loss = trainer.training_step(trainer.model, batch)
    drawn, found = torch.get_rng_state(), gradients(trainer)
    assert tiny_trainers.equal(weights(trainer), before)
    assert trainer._seen == 4

    def plain():
        trainer.model.zero_grad()
        torch.manual_seed(5)
        plain_loss = plain_pass(trainer, batch).loss
        plain_loss.backward()
        return plain_loss, gradients(trainer)

    plain_loss, uphill = plain()
    assert torch.equal(torch.get_rng_state(), drawn)
    assert loss.item() == plain_loss.item()
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in uphill.values()))
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            parameter += 0.5 * uphill[name] / norm
    _, expected = plain()
    torch.testing.assert_close(found, expected)
    assert (found["classifier.weight"] - uphill["classifier.weight"]).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "sign"), [("speaker", 1), ("adversarial", -1)])
def test_the_loss_of_the_speakers_reaches_the_encoder_with_its_sign(name, sign, trainer_of):
    trainer = trainer_of(name)
    torch.nn.init.normal_(trainer.model.classifier.weight)  # else no emotion's gradient reaches the encoder
    batch, head = batch_of(trainer), trainer.speaker_head
    speakers = torch.tensor([int(trainer.train_dataset.utterances[index].speaker) - 3 for index in (0, 3, 8, 13)])
    assert batch["speakers"].tolist() == speakers.tolist()
    assert len(set(speakers.tolist())) == 2
    for _ in range(2):  # the head forgets the gradient of the step before
        trainer.model.zero_grad()
        trainer.training_step(trainer.model, batch)
    found, of_head = gradients(trainer), head.weight.grad.clone()

    emotions, parameters = plain_pass(trainer, batch).loss, dict(trainer.model.named_parameters())
    loss = functional.cross_entropy(functional.linear(trainer.features, head.weight, head.bias), speakers)
    own = torch.autograd.grad(emotions, parameters.values(), retain_graph=True)
    other = torch.autograd.grad(loss, [*parameters.values(), head.weight], allow_unused=True)
    for (key, gradient), mine, theirs in zip(found.items(), own, other, strict=False):
        expected = mine if theirs is None else mine + sign * 0.1 * theirs
        torch.testing.assert_close(gradient, expected, msg=key)
    torch.testing.assert_close(of_head, 0.1 * other[-1])
    rates = [group["lr"] for group in trainer.create_optimizer().param_groups if group["params"][0] is head.weight]
    assert rates == [trainer.args.learning_rate]


def test_the_head_of_the_speakers_takes_no_draw(trainer_of):
    plain = weights(trainer_of("none"))
    drawn = torch.get_rng_state()
    assert tiny_trainers.equal(weights(trainer_of("speaker")), plain)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_r_drop_adds_the_symmetric_divergence_of_two_passes(trainer_of):
    trainer = trainer_of("r_drop", **dict.fromkeys(DROPS, 0.3))
    torch.nn.init.normal_(trainer.model.classifier.weight, std=10)
    batch = batch_of(trainer)
    torch.manual_seed(5)
    loss = trainer.compute_loss(trainer.model, dict(batch))
    torch.manual_seed(5)
    one, two = plain_pass(trainer, batch), plain_pass(trainer, batch)
    p, q = one.logits.softmax(dim=-1), two.logits.softmax(dim=-1)
    divergence = ((p * (p / q).log()).sum(dim=-1) + (q * (q / p).log()).sum(dim=-1)).mean() / 2
    assert divergence > 1e-3
    assert loss.item() == pytest.approx(((one.loss + two.loss) / 2 + divergence).item(), rel=1e-5)


def test_what_a_recipe_cannot_do_is_refused(trainer_of, recipes):
    with pytest.raises(UserError, match="r_drop: two passes give the same, since this encoder has no dropout"):
        trainer_of("r_drop").train()
    with pytest.raises(UserError, match=r"give trainer.choose=last"):
        trainer_of("ema")
    with pytest.raises(UserError, match="gradient_accumulation_steps=1"):
        trainer_of("sam", "trainer.gradient_accumulation_steps=2")
    for wrong in ("emma", "none=1", "sam=much"):
        with pytest.raises(UserError, match=f"--try {wrong}: "):
            recipes.find_recipe(wrong)


def test_an_average_begins_again_where_it_was_interrupted(trainer_of, tmp_path):
    begun = tmp_path / "run" / "checkpoint-1"
    begun.mkdir(parents=True)
    trainer_of("layer_decay")
    assert begun.is_dir()
    trainer_of("ema", *LAST)
    assert not begun.exists()


def test_recipes_are_trained_and_compared_and_a_second_call_keeps_them(recipes, data_dir, tmp_path, capsys):
    out = tmp_path / "out"
    words = (
        *SMALL, *LAST, "trainer=scratch", "tracking=none", "protocol=random", "trainer.max_steps=2",
        "trainer.precision=bf16", "trainer.max_grad_norm=0.5", f"data_dir={data_dir}",
    )  # fmt: skip
    fine_tune = experiment.fine_tune
    own = ("--out", str(out), "--try", "none", "ema=0.5")
    recipes.main([*own, "--", *words])
    assert (build.EmotionTrainer, experiment.fine_tune) == (EmotionTrainer, fine_tune)
    (seconds,) = json.loads((out / "none.cpu.json").read_text()).values()
    assert seconds > 0
    printed = capsys.readouterr().out
    header, _, none, ema, *_, described, _, last = printed[printed.index("| recipe") :].splitlines()
    assert [cell.strip() for cell in header.split("|")[1:4]] == ["recipe", "UAR", "accuracy"]
    assert re.match(r"\| none +\| +\d+\.\d % +\| +\d+\.\d % +\| +\d+\.\d +\| +\| +\| +\|$", none)
    assert re.search(r"^\| ema=0.5 .*\| [+-]\d+\.\d points +\| +[01]\.\d+ +\| +[01]\.\d+ +\|$", ema)
    assert described.startswith("Corpus ravdess, protocol random, seed 0: 77 clips of 23 speakers.")
    assert last == (
        "1 recipe was tried against none. These are tested speakers of RAVDESS: nothing may be chosen by this table."
    )
    one, other = ((out / name / "history.csv").read_text().splitlines() for name in own[3:])
    assert [row.split(",")[:3] for row in one] == [row.split(",")[:3] for row in other]  # the same steps,
    saved = [(out / name / "checkpoint" / "model.safetensors").read_bytes() for name in own[3:]]
    assert saved[0] != saved[1]  # and the average is what was saved

    files = [out / name / "environment.json" for name in own[3:]]
    written = [path.stat().st_mtime_ns for path in files]
    recipes.main([*own, "--", *words])
    assert [path.stat().st_mtime_ns for path in files] == written
    capsys.readouterr()
    recipes.main([*own[:4], "sam", "--report-only"])
    printed = capsys.readouterr().out
    assert "| ema=0.5 " in printed  # also where it is not asked for again
    assert re.search(r"\| sam +\| not finished ", printed)
    assert "2 recipes were tried against none." in printed
    with pytest.raises(UserError, match="sam: not finished"):
        recipes.main([*own[:3], "sam", "--report-only"])
    with pytest.raises(UserError, match=r"protocol.fold: one fold of one seed"):
        recipes.main([*own, "--", *words, "protocol=emobox", "protocol.fold=1"])
