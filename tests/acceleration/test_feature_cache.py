import errno
import json
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.tiny_features import built, frozen, some

from ser import config
from ser.acceleration import feature_cache, frozen_layers
from ser.acceleration.cached_features import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.frozen_cnn import FrozenCnn
from ser.config import Corpus
from ser.data.batches import MINIMUM, scoring_batches
from ser.data.dataset import WaveformCollator, WaveformDataset
from ser.data.preparation import prepare
from ser.data.prepared_corpus import open_prepared
from ser.errors import UserError
from ser.training.arguments import build_arguments
from ser.training.evaluating import validation_metrics
from ser.training.trainer import EmotionTrainer


@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_clip_is_kept_as_the_cnn_answers_to_it_alone(dtype, norm, prepared, tmp_path):
    clips = some(prepared)
    classifier, cache = built(clips, tmp_path, dtype, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer")
    for index, utterance in enumerate(clips.utterances):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            answer = FrozenCnn().run(classifier, WaveformCollator(True)([clips[index]])["input_values"])[0].T.to(dtype)
        assert torch.equal(torch.tensor(cache.frames(utterance.path)).view(dtype), answer)


@pytest.mark.parametrize(("dtype", "named"), [(torch.float32, None), (torch.bfloat16, "bfloat16")])
def test_a_file_says_when_a_cpu_computed_it_in_bfloat16(dtype, named, prepared, tmp_path):
    built(some(prepared), tmp_path, dtype)
    (made_from,) = tmp_path.glob("*/made_from.json")
    assert json.loads(made_from.read_text(encoding="utf-8")).get("computed_in") == named


def test_clips_have_their_labels_and_lengths(prepared, tmp_path):
    clips = some(prepared)
    _, cache = built(clips, tmp_path)
    listed = WaveformDataset(prepared, clips.utterances[::-2], trim=False)
    rows = CachedFeatureDataset(cache, listed)
    assert len(rows) == 3
    assert rows.lengths().tolist() == listed.lengths().tolist()
    assert [rows[index]["label"] for index in range(3)] == [listed[index]["label"] for index in range(3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_has_the_mask_the_labels_and_the_shape_of_one_of_waveforms(dtype, prepared, tmp_path):
    clips = some(prepared)
    classifier, cache = built(clips, tmp_path, dtype)
    rows = CachedFeatureDataset(cache, clips)
    ours = CachedFeatureCollator(cache)([rows[index] for index in range(len(rows))])
    theirs = WaveformCollator(True)([clips[index] for index in range(len(clips))])
    assert torch.equal(ours["attention_mask"], theirs["attention_mask"])
    assert torch.equal(ours["labels"], theirs["labels"])
    answer = FrozenCnn().run(classifier, theirs["input_values"])
    assert ours["input_values"].shape == answer.shape
    assert ours["input_values"].dtype is dtype
    count = len(rows[0]["frames"])
    assert count < answer.shape[2]
    assert torch.equal(ours["input_values"][0, :, :count].T, torch.tensor(rows[0]["frames"]).view(dtype))
    silence = torch.tensor(cache.silence).view(dtype)
    assert (ours["input_values"][0, :, count:] == silence[:, None]).all()


def test_a_clip_shorter_than_a_frame_has_the_frames_that_it_has_alone(tmp_path):
    class Short:
        utterances = (SimpleNamespace(path="short.wav"),)

        def __len__(self):
            return 1

        def lengths(self):
            return np.array([10])

        def labels(self):
            return np.array([0])

        def __getitem__(self, index):
            return {"samples": np.ones(10, np.int16), "label": 0}

    classifier, cache = built(Short(), tmp_path)
    batch = CachedFeatureCollator(cache)([CachedFeatureDataset(cache, Short())[0]])
    alone = WaveformCollator(True)([Short()[0]])
    assert torch.equal(batch["attention_mask"], alone["attention_mask"])
    assert batch["attention_mask"].shape == (1, MINIMUM)
    assert torch.equal(batch["input_values"], FrozenCnn().run(classifier, alone["input_values"]))


def test_the_cnn_runs_once(prepared, tmp_path, monkeypatch):
    clips = some(prepared)
    _, cache = built(clips, tmp_path)
    monkeypatch.setattr(FrozenCnn, "run", lambda *_: pytest.fail("it ran again"))
    _, again = built(clips, tmp_path)
    path = clips.utterances[0].path
    assert np.array_equal(cache.frames(path), again.frames(path))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"do_normalize": False},
        {"dtype": torch.bfloat16},
        {"conv_stride": [20, 4, 2, 1]},
        {"feat_extract_activation": "relu"},
        {"clips": 5},
        {"trim": True},
    ],
)
def test_anything_else_makes_another_file(other, prepared, tmp_path):
    clips = some(prepared)
    built(clips, tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")}
    if "clips" in other:
        clips, other = some(prepared, other["clips"]), {}
    if "trim" in other:
        clips, other = Trimmed(clips), {}
    built(clips, tmp_path, **other)
    assert len(list(tmp_path.iterdir())) == 2
    assert all(path.stat().st_mtime_ns == written for path, written in first.items())


class Trimmed:
    """Other samples under the same names."""

    def __init__(self, clips):
        self.clips, self.utterances = clips, clips.utterances

    def lengths(self):
        return self.clips.lengths() - 1

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        return {**self.clips[index], "samples": self.clips[index]["samples"][1:]}


def test_weights_behind_the_cnn_share_a_file(prepared, tmp_path):
    clips = some(prepared)
    built(clips, tmp_path)
    classifier, extractor = frozen()
    with torch.no_grad():
        classifier.classifier.weight.add_(1)
    feature_cache.open_or_compute(classifier, extractor, clips, tmp_path, torch.float32)
    assert len(list(tmp_path.iterdir())) == 1


def built_of_layers(clips, folder, depth=1, **settings):
    classifier, extractor = frozen(freeze=f"layers:{depth}" if depth < 2 else "encoder", **settings)
    return classifier, feature_cache.open_or_compute(
        classifier, extractor, clips, folder, torch.float32, frozen_layers.FrozenLayers(depth)
    )


def test_a_clip_is_kept_as_the_frozen_layers_answer_to_it_alone(prepared, tmp_path):
    clips = some(prepared)
    classifier, cache = built_of_layers(clips, tmp_path)
    for index, utterance in enumerate(clips.utterances):
        answer = (
            frozen_layers.FrozenLayers(1).run(classifier, WaveformCollator(True)([clips[index]])["input_values"])[0].T
        )
        assert answer.shape[1] == classifier.config.hidden_size
        assert torch.equal(torch.tensor(cache.frames(utterance.path)), answer)


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"depth": 2}, {"num_attention_heads": 2}, {"hidden_act": "relu"}, {"cnn": True}]
)
def test_other_frozen_layers_make_another_file(other, prepared, tmp_path):
    clips = some(prepared, 2)
    built_of_layers(clips, tmp_path)
    built_of_layers(clips, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    built(clips, tmp_path) if "cnn" in other else built_of_layers(clips, tmp_path, **other)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "no description", "other description", "torn description", "cut sums"])
def test_a_damaged_file_is_made_again(damage, prepared, tmp_path):
    clips = some(prepared)
    _, cache = built(clips, tmp_path)
    expected = cache.frames(clips.utterances[-1].path).copy()
    (place,) = tmp_path.iterdir()
    if damage == "cut":
        data = (place / feature_cache.FRAMES).read_bytes()
        (place / feature_cache.FRAMES).unlink()  # the old file is still mapped
        (place / feature_cache.FRAMES).write_bytes(data[:-4])
    elif damage == "no description":
        (place / feature_cache.MADE_FROM).unlink()
    elif damage == "torn description":
        (place / feature_cache.MADE_FROM).write_text('{"layout')
    elif damage == "cut sums":
        (place / feature_cache.SUMS).write_bytes(b"1234")
    else:
        (place / feature_cache.MADE_FROM).write_text("{}")
    _, again = built(clips, tmp_path)
    assert np.array_equal(again.frames(clips.utterances[-1].path), expected)


def test_frames_with_a_flipped_bit_are_refused_and_not_trained_on(prepared, tmp_path):
    clips = some(prepared)
    built(clips, tmp_path)
    (place,) = tmp_path.iterdir()
    content = bytearray((place / feature_cache.FRAMES).read_bytes())
    content[-1] ^= 1
    (place / feature_cache.FRAMES).unlink()
    (place / feature_cache.FRAMES).write_bytes(content)
    rows = CachedFeatureDataset(built(clips, tmp_path)[1], clips)
    assert len(rows[0]["frames"])
    with pytest.raises(UserError, match=r"damaged \(the frames of .*remove it, and it is computed again"):
        rows[len(rows) - 1]


def test_what_another_run_wrote_meanwhile_is_read_and_not_replaced(prepared, tmp_path, monkeypatch):
    clips = some(prepared)

    @contextmanager
    def waiting(place, wait):
        monkeypatch.undo()
        built(clips, tmp_path)
        monkeypatch.setattr(feature_cache, "compute", lambda *_: pytest.fail("replaced"))
        yield

    monkeypatch.setattr(feature_cache, "locked", waiting)
    _, cache = built(clips, tmp_path)
    assert len(cache.frames(clips.utterances[0].path))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), UserError),
    ],
)
def test_an_interrupted_build_leaves_nothing(error, expected, prepared, tmp_path, monkeypatch):
    calls, stored = [], feature_cache.to_bytes

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise error
        return stored(*arguments)

    monkeypatch.setattr(feature_cache, "to_bytes", failing)
    with pytest.raises(expected):
        built(some(prepared), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_too_small_is_refused_before_the_work(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    monkeypatch.setattr(FrozenCnn, "run", lambda *_: pytest.fail("it began"))
    with pytest.raises(UserError, match=r"needs 0.00 GB .* trainer.cache_features=false"):
        built(some(prepared), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_is_not_writable_is_reported_with_the_key_that_needs_it(prepared, tmp_path):
    (tmp_path / "data").write_text("a file in the place of a folder")
    with pytest.raises(UserError, match=r"data.features: it cannot be written .*trainer.cache_features=false"):
        built(some(prepared), tmp_path / "data" / "features")


def trained(prepared, folder, cached):
    """The log of two epochs and the final weights."""
    cfg = composed(
        "train", "tracking=none", "trainer.precision=fp32", "trainer.num_train_epochs=2", "trainer.eval_strategy=epoch"
    )
    rows = WaveformDataset(prepared, [row for row in prepared.utterances if row.speaker in ("3", "4")][:24], trim=False)
    classifier, extractor = frozen()
    clips, collator = rows, WaveformCollator(True)
    if cached:
        cache = feature_cache.open_or_compute(classifier, extractor, rows, folder / "features", torch.float32)
        FrozenCnn().install(classifier)
        clips, collator = CachedFeatureDataset(cache, rows), CachedFeatureCollator(cache)
    trainer = EmotionTrainer(
        model=classifier,
        args=build_arguments(cfg, folder),
        data_collator=collator,
        train_dataset=clips,
        eval_dataset=clips,
        compute_metrics=validation_metrics,
        options=cfg.trainer,
    )
    trainer.train()
    losses = [row[key] for row in trainer.state.log_history for key in ("loss", "eval_loss") if key in row]
    return losses, classifier.state_dict()


def test_a_run_of_the_trainer_is_the_same_with_and_without(prepared, tmp_path):
    (plain, weights), (cached, same) = (
        trained(prepared, tmp_path / str(cached), cached=cached) for cached in (False, True)
    )
    assert len(plain) == 4
    assert cached == pytest.approx(plain, rel=1e-4)
    assert weights.keys() == same.keys()
    assert all(torch.allclose(weights[key], same[key], atol=1e-4) for key in weights)


def test_scoring_batches_hold_clips_without_padding_where_their_lengths_are_equal(prepared, tmp_path):
    clips = some(prepared)
    _, cache = built(clips, tmp_path)
    rows, collator = CachedFeatureDataset(cache, clips), CachedFeatureCollator(cache)
    for batch in scoring_batches(rows.lengths(), 4, equal_lengths=True):
        assert collator([rows[index] for index in batch])["attention_mask"].all()


def test_real_decoding_of_another_file_makes_another_cache(corpus_root, tmp_path):
    import soundfile

    root = tmp_path / "corpus"
    shutil.copytree(corpus_root, root)
    corpus, protocol = config.Corpus("ravdess"), composed("train").protocol
    for level in (1.0, 0.5):
        path = sorted(root.rglob("*.wav"))[0]
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples * level, rate, subtype="PCM_16")
        prepare(corpus, protocol, str(root), str(tmp_path / "data"), config.Audit.warn)
        prepared = open_prepared(str(tmp_path / "data"), Corpus("ravdess"))
        built(WaveformDataset(prepared, prepared.utterances[:2], trim=False), tmp_path / "features")
    assert len(list((tmp_path / "features").iterdir())) == 2
