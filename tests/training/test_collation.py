"""Batches of training: augmented, mixed, of fixed lengths, and the same in a resumed run and in workers."""

import csv
import json

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.tiny_runs import run
from helpers.tiny_trainers import ready
from transformers import SequenceFeatureExtractor, WhisperFeatureExtractor

from ser.acceleration.compilation import SHAPES
from ser.augmentation.draw import Augmenter
from ser.config import Corpus
from ser.data.dataset import WaveformCollator, WaveformDataset, collator_for
from ser.data.prepared_corpus import open_prepared
from ser.errors import UserError
from ser.training import collation
from ser.training.collation import PARTNER_LABELS, PARTNER_SHARES, TrainingCollator
from ser.training.losses import Targets, classification_loss, mixed_loss

MIXED = ("augment=strong", "augment.mixup_alpha=1", "augment.cutmix_alpha=1", "augment.mix_probability=1")


class Unmasked:
    """A model without SpecAugment."""

    base_model = config = object()

    def frames(self, samples):
        return samples // 320


def collator_of(clips, *overrides, epoch=0, collator=None):
    options = composed("train", *overrides).augment
    augmenter = Augmenter(options, 0, clips) if options.changes_clips else None
    return TrainingCollator(collator or WaveformCollator(True), Unmasked(), 0, lambda: epoch, augmenter)


@pytest.fixture
def clips(prepared):
    return WaveformDataset(prepared, prepared.utterances[:48], trim=False)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def batches_of_epoch(trainer, epoch):
    trainer.state.epoch = epoch
    return [{name: tensor.cpu() for name, tensor in batch.items()} for batch in trainer.get_train_dataloader()]


def test_without_augmentation_a_batch_is_that_of_the_collator(clips):
    examples = [clips[index] for index in range(4)]
    assert same(collator_of(clips)(examples), WaveformCollator(True)(examples))


def test_clips_are_normalised_after_they_are_augmented(clips):
    batch = collator_of(clips, "augment=strong")([clips[index] for index in range(8)])
    for values, mask in zip(batch["input_values"], batch["attention_mask"], strict=True):
        own = values[mask.bool()]
        assert own.mean() == pytest.approx(0, abs=1e-4)
        assert own.std() == pytest.approx(1, abs=0.01)
        assert not values[~mask.bool()].any()


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_make_the_batches_of_the_process_itself(workers, prepared, tmp_path):
    options = (*MIXED, "trainer.per_device_train_batch_size=4")
    alone = ready(prepared, tmp_path, *options)
    helped = ready(prepared, tmp_path, *options, f"+trainer.extra_training_args.dataloader_num_workers={workers}")
    for epoch in (0, 1):
        pairs = zip(batches_of_epoch(alone, epoch), batches_of_epoch(helped, epoch), strict=True)
        assert all(same(first, second) for first, second in pairs)


def test_no_two_epochs_have_the_same_waveforms(prepared, tmp_path):
    trainer = ready(prepared, tmp_path, "augment=light", "trainer.per_device_train_batch_size=4")
    first, second = (batches_of_epoch(trainer, epoch)[0]["input_values"] for epoch in (0, 1))
    assert first.shape != second.shape or not torch.equal(first, second)


def test_dropout_draws_what_it_draws_without_augmentation(clips):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    collator_of(clips, *MIXED)([clips[index] for index in range(8)])
    assert torch.equal(torch.get_rng_state(), before)


# With batches of 4 an epoch of 16 clips has 4 steps: 4 ends the first, 6 is in the middle of the second.
@pytest.mark.parametrize("step", [4, 6])
def test_a_resumed_run_trains_on_the_waveforms_of_an_uninterrupted_one(step, prepared, tmp_path, monkeypatch):
    overrides = (
        "trainer=laptop",
        *MIXED,
        "trainer.precision=fp32",
        "trainer.max_steps=12",
        "trainer.per_device_train_batch_size=4",
        "trainer.eval_strategy=steps",
        "trainer.save_total_limit=12",
    )
    seen = []
    collate = TrainingCollator.__call__
    monkeypatch.setattr(
        TrainingCollator, "__call__", lambda self, examples: seen.append(collate(self, examples)) or seen[-1]
    )
    ready(prepared, tmp_path, *overrides).train()
    whole = list(seen)
    assert len(whole) == 12
    seen.clear()
    resumed = ready(prepared, tmp_path, *overrides)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{step}"))
    # The first ones are those that the Trainer skips.
    assert len(seen) >= 12 - step
    for first, second in zip(reversed(whole[step:]), reversed(seen), strict=False):
        assert same(first, second)


def test_validation_clips_are_never_changed(prepared, tmp_path):
    plain, augmented = (list(ready(prepared, tmp_path, *options).get_eval_dataloader()) for options in ((), MIXED))
    assert all(same(first, second) for first, second in zip(plain, augmented, strict=True))


def test_compiled_graphs_have_at_most_eight_lengths_that_hold_every_clip(clips):
    found, unpadded = set(), []
    collate = collator_of(clips, "augment=light")
    collate.use_fixed_lengths(clips)
    for epoch in range(20):
        collate.epoch = lambda epoch=epoch: epoch
        for start in range(0, 48, 8):
            batch = collate([clips[index] for index in range(start, start + 8)])
            assert batch["input_values"].shape == batch["attention_mask"].shape
            found.add(batch["input_values"].shape[1])
            unpadded.append(int(batch["attention_mask"].sum(dim=1).max()))
    assert len(found) <= SHAPES
    assert max(unpadded) > clips.lengths().max()  # slower than it was


def test_bucketed_batches_hold_augmented_clips_of_like_length(prepared, tmp_path):
    clips = WaveformDataset(prepared, prepared.utterances, trim=False)
    shares = {}
    for bucketed in ("true", "false"):
        trainer = ready(prepared, tmp_path, "augment=light", f"trainer.bucket_by_length={bucketed}",
                        "trainer.per_device_train_batch_size=4")  # fmt: skip
        trainer.train_dataset = clips
        trainer.data_collator.augmenter = Augmenter(composed("train", "augment=light").augment, 0, clips)
        masks = [batch["attention_mask"] for batch in batches_of_epoch(trainer, 1)]
        shares[bucketed] = 1 - sum(mask.sum().item() for mask in masks) / sum(mask.numel() for mask in masks)
    assert shares["true"] < 0.02
    assert shares["false"] > 0.05


def test_features_are_computed_of_augmented_clips(clips):
    extractor: SequenceFeatureExtractor = WhisperFeatureExtractor()
    examples = [clips[index] for index in range(4)]
    plain, augmented = (
        collator_of(clips, *options, collator=collator_for(extractor))(examples) for options in ((), ("augment=light",))
    )
    assert augmented.keys() == plain.keys()
    assert not torch.equal(augmented["input_features"][..., :20], plain["input_features"][..., :20])


def test_mixed_clips_carry_the_label_and_the_share_of_their_partner(clips):
    batch = collator_of(clips, "augment.mixup_alpha=1")([clips[index] for index in range(8)])
    assert (batch[PARTNER_SHARES] <= 0.5).all()
    assert sorted(batch[PARTNER_LABELS].tolist()) == sorted(batch["labels"].tolist())
    assert PARTNER_LABELS not in collator_of(clips, "augment=light")([clips[0], clips[1]])


OBJECTIVES = [
    (None, 0.0, 0.0), (torch.arange(1.0, 9.0), 0.0, 0.0), (None, 2.0, 0.0), (None, 0.0, 0.1),
    (torch.arange(1.0, 9.0), 2.0, 0.1),
]  # fmt: skip


@pytest.mark.parametrize(("class_weights", "gamma", "smoothing"), OBJECTIVES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(class_weights, gamma, smoothing, weighted):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 8, generator=generator)
    labels, partners = torch.randint(8, (2, 6), generator=generator)
    shares = torch.rand(6, generator=generator) / 2
    weights = torch.rand(6, generator=generator) if weighted else None

    def each(place, label):
        one = logits[place : place + 1], label[place : place + 1]
        return classification_loss(*one, class_weights, gamma, smoothing).item()

    expected = np.mean([
        ((1 - share) * each(place, labels) + share * each(place, partners)) * (weights[place].item() if weighted else 1)
        for place, share in enumerate(shares.tolist())
    ])  # fmt: skip

    def loss(labels, weights):
        return classification_loss(logits, labels, class_weights, gamma, smoothing, weights)

    found = mixed_loss(loss, Targets(labels, weights, partners, shares))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert mixed_loss(loss, Targets(labels, weights)).item() == loss(labels, weights).item()


def test_training_minimises_the_mixed_loss_and_counts_the_dominant_label(prepared, tmp_path):
    trainer = ready(prepared, tmp_path, "augment.mixup_alpha=1", "trainer.per_device_train_batch_size=8")
    trainer.model.train()
    trainer.model.classifier.bias.data.copy_(torch.arange(8.0) / 2)
    [batch, *_] = trainer.get_train_dataloader()
    labels, partners, shares = (batch[name].clone() for name in ("labels", PARTNER_LABELS, PARTNER_SHARES))
    loss, outputs = trainer.compute_loss(trainer.model, dict(batch), return_outputs=True)
    logged = outputs.logits.detach().log_softmax(dim=-1)
    each = [-logged[range(len(labels)), target] for target in (labels, partners)]
    assert loss.item() == pytest.approx(((1 - shares) * each[0] + shares * each[1]).mean().item(), rel=1e-5)
    assert float(trainer._right) == (outputs.logits.argmax(dim=-1) == labels).sum().item()


def test_no_tested_clip_is_augmented_or_mixed_into_training(data_copy, tmp_path, monkeypatch):
    given, mixed = set(), []
    draw, mix = Augmenter.draw, collation.mix

    def record(self, samples, clip, epoch):
        waveform = draw(self, samples, clip, epoch)
        given.add((clip, samples.tobytes()))
        return waveform

    def record_partners(waveforms, *rest):
        found = mix(waveforms, *rest)
        mixed.extend(found.partners)
        return found

    monkeypatch.setattr(Augmenter, "draw", record)
    monkeypatch.setattr(collation, "mix", record_partners)
    run(data_copy, tmp_path / "run", *MIXED, "protocol=emobox", "protocol.fold=1", "trainer.max_steps=8")
    folder = tmp_path / "run" / "fold1"
    lists = {name: list(csv.DictReader((folder / f"{name}.csv").open())) for name in ("train", "validation", "test")}
    prepared = open_prepared(str(data_copy), Corpus("ravdess"))
    places = dict(zip([row.path for row in prepared.utterances], prepared.indices(prepared.utterances), strict=True))

    def content(row):
        return prepared.audio.samples(int(places[row["path"]])).tobytes()

    contents = {name: {content(row) for row in rows} for name, rows in lists.items()}
    assert len(given) > 20
    assert any(place != partner for place, partner in enumerate(mixed))
    assert {samples for _, samples in given} <= contents["train"]
    assert not {samples for _, samples in given} & (contents["validation"] | contents["test"])
    # The place of each is that of its row in the list of the run.
    assert all(samples == content(lists["train"][clip]) for clip, samples in given)


def test_the_report_and_the_card_say_what_was_done(data_copy, tmp_path):
    for name, options in (("plain", ()), ("light", ("augment=light", "augment.pitch_probability=0.2"))):
        run(data_copy, tmp_path / name, *options)
    words = {
        name: json.loads((tmp_path / name / "classification_report.json").read_text())["in_words"]
        for name in ("plain", "light")
    }
    assert "augmented" not in words["plain"]
    assert (
        "Only training clips were augmented: speed times 0.9, 0.95, 1, 1.05, 1.1; pitch by up to 2 semitones (20 % of "
        "the clips); level by up to 6 dB; noise at 10 to 30 dB (30 % of the clips); up to 100 % of the silence at each "
        "end cut off." in words["light"]
    )
    stamp = json.loads((tmp_path / "light" / "checkpoint" / "config.json").read_text())["ser"]
    assert stamp["augment"]["noise_snr"] == [10.0, 30.0]
    assert "augment" not in json.loads((tmp_path / "plain" / "checkpoint" / "config.json").read_text())["ser"]


def test_a_missing_folder_of_noise_is_refused_before_any_data_are_read(tmp_path):
    with pytest.raises(UserError, match=r"augment\.noise_folder=/nowhere: no such folder"):
        run(tmp_path / "no-data", tmp_path / "run", "augment=light", "augment.noise_folder=/nowhere")
    assert not (tmp_path / "run").exists()
