import csv
import shutil
from types import SimpleNamespace

import pytest
import torch
from conftest import composed
from safetensors.torch import load_file
from transformers import set_seed

from ser.acceleration import feature_cache, frozen_cnn, frozen_layers
from ser.acceleration.feature_cache import CachedFeatureCollator, CachedFeatureDataset
from ser.commands.train import train
from ser.corpora.ravdess import EMOTIONS
from ser.data.dataset import ExtractorCollator, WaveformCollator, WaveformDataset
from ser.models import checkpoint, freezing
from ser.training.arguments import training_arguments
from ser.training.datasets import Inputs, fits, frozen_part, not_resident, resident, stored
from ser.training.trainer import EmotionTrainer, validation_metrics

QUICK = (
    "model=tiny", "trainer=scratch", "tracking=none", "trainer.max_steps=4", "trainer.eval_strategy=steps",
    "trainer.eval_steps=2", "trainer.save_steps=2", "trainer.logging_steps=1", "model.freeze=cnn",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(data_dir, tmp_path_factory):
    """A prepared folder of our own: the cached features go below it."""
    folder = tmp_path_factory.mktemp("inputs") / "data"
    shutil.copytree(data_dir, folder)
    return folder


def losses(data, folder, *overrides):
    train(composed("train", *QUICK, f"data_dir='{data}'", f"output_dir='{folder}'", *overrides))
    rows = list(csv.DictReader((folder / "history.csv").open()))
    return [float(row[name]) for row in rows for name in ("train_loss", "eval_loss") if row[name]]


def test_a_run_that_reads_the_cnns_output_from_a_file_is_the_run_that_computes_it(data, tmp_path):
    plain = losses(data, tmp_path / "plain")
    assert losses(data, tmp_path / "cached", "trainer.cache_features=true") == pytest.approx(plain, rel=1e-4)
    assert "output of the frozen CNN" in (tmp_path / "cached" / "run.log").read_text()
    answers = [
        [row["prediction"] for row in csv.DictReader((tmp_path / name / "predictions.csv").open())]
        for name in ("plain", "cached")
    ]
    assert answers[0] == answers[1]


def test_trimmed_clips_have_features_of_their_own(data, tmp_path):
    losses(data, tmp_path / "whole", "trainer.cache_features=true")
    before = set((data / "features").iterdir())
    losses(data, tmp_path / "trimmed", "trainer.cache_features=true", "audio.trim=true")
    # The toy corpus is tones from end to end: nothing is cut, and so the same file serves.
    assert set((data / "features").iterdir()) == before
    assert "read from" in (tmp_path / "trimmed" / "run.log").read_text()


def test_where_the_cnn_is_trained_and_there_is_no_gpu_the_log_says_what_is_left_out(data, tmp_path):
    losses(data, tmp_path / "run", "trainer.cache_features=true", "model.freeze=none", "trainer.dataset_on_gpu=true")
    said = (tmp_path / "run" / "run.log").read_text()
    assert "trainer.dataset_on_gpu: clips are read from the memory map, because there is no GPU" in said
    assert "nothing is cached, because model.freeze lets the CNN be trained" in said


QUIET = [
    f"model.encoder_config.{name}_dropout=0" for name in ("hidden", "attention", "activation", "feat_proj")
]  # layerdrop and SpecAugment are off in this encoder


def test_a_run_that_starts_above_its_frozen_layers_is_the_run_that_computes_them(data, tmp_path):
    options = (*QUIET, "model.freeze=layers:1")
    plain = losses(data, tmp_path / "plain", *options)
    assert losses(data, tmp_path / "cached", "trainer.cache_features=true", *options) == pytest.approx(plain, rel=1e-5)
    assert "output of the frozen encoder up to layer 1" in (tmp_path / "cached" / "run.log").read_text()
    tensors = [load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("plain", "cached")]
    assert tensors[0].keys() == tensors[1].keys()
    for key, tensor in tensors[0].items():
        # A softmax undoes the bias of the keys: its gradient is rounding, of which Adam makes whole steps.
        assert key.endswith("k_proj.bias") or torch.allclose(tensor, tensors[1][key], atol=1e-5), key


def part_of(caplog, *options):
    """The part that a run would cache, and what the log says."""
    cfg = composed("train", "model=tiny", "model.freeze=layers:1", *options)
    classifier, _ = checkpoint.build(cfg.model, EMOTIONS)
    freezing.adapt(classifier, cfg.model)
    with caplog.at_level("INFO", logger="ser"):
        caplog.clear()
        return frozen_part(classifier, cfg.trainer.compile), caplog.messages


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("model.encoder_config.mask_time_prob=0.05", "model.encoder_config.apply_spec_augment=true", *QUIET[1:]),
            "model.encoder_config.hidden_dropout=0.1, model.encoder_config.mask_time_prob=0.05: "
            "their answer is another each time; they are cached with 0 there, for all layers",
        ),
        (("model.weighted_layer_sum=true", *QUIET), "model.weighted_layer_sum reads the states below them as well"),
        (("trainer.compile=true", *QUIET), "trainer.compile makes one graph of all layers"),
    ],
)
def test_where_the_frozen_layers_are_no_constant_the_cnn_is_cached_and_the_log_says_why(options, reason, caplog):
    part, said = part_of(caplog, *options)
    assert part is frozen_cnn
    assert said == [f"trainer.cache_features: the frozen layers are not cached, the CNN is, because {reason}"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), frozen_layers.Layers(1)),
        (("model.freeze=encoder",), frozen_layers.Layers(2)),
        (("model.freeze=cnn",), frozen_cnn),
        (("model.lora_rank=2", "model.freeze=cnn"), frozen_cnn),
    ],
)
def test_the_cache_reaches_as_far_up_as_the_encoder_is_frozen(options, expected, caplog):
    assert part_of(caplog, *QUIET, *options) == (expected, [])


def test_batches_of_like_length_are_another_order_of_the_same_clips(data, tmp_path):
    assert losses(data, tmp_path / "bucketed", "trainer.bucket_by_length=true") != losses(data, tmp_path / "plain")


def masked_encoder():
    """The tiny encoder with a frozen CNN and SpecAugment, and its preprocessing."""
    model = composed("train", "model=tiny", "model.freeze=cnn").model
    model.encoder_config.update(apply_spec_augment=True, mask_time_prob=0.5, mask_time_length=2)
    set_seed(0)
    classifier, extractor = checkpoint.build(model, EMOTIONS)
    freezing.adapt(classifier, model)
    return classifier, extractor


def from_files(prepared, tmp_path, cached):
    """Two lists of the toy corpus, as waveforms or as frames, and a model that takes both."""
    splits = [WaveformDataset(prepared, prepared.utterances[start::20], trim=False) for start in (0, 1)]
    if not cached:
        return Inputs(*splits, WaveformCollator(True))
    everything = WaveformDataset(prepared, prepared.utterances, trim=False)
    cache = feature_cache.build(*masked_encoder(), everything, tmp_path / "features", torch.float32)
    return Inputs(*(CachedFeatureDataset(cache, clips) for clips in splits), CachedFeatureCollator(cache))


def history(read, tmp_path, bucketed):
    """The losses of a short run."""
    steps = [f"trainer.{name}=3" for name in ("eval_steps", "save_steps")]
    cfg = composed(
        "train", "tracking=none", "trainer=fast", "trainer.precision=fp32", "trainer.max_steps=6",
        "trainer.logging_steps=1", f"trainer.bucket_by_length={bucketed}", *steps,
    )  # fmt: skip
    classifier, _ = masked_encoder()
    frozen_cnn.install(classifier)  # waveforms go through the CNN as before
    set_seed(0)
    trainer = EmotionTrainer(
        model=classifier, args=training_arguments(cfg, tmp_path), data_collator=read.collator, train_dataset=read.train,
        eval_dataset=read.selection_split, compute_metrics=validation_metrics, options=cfg.trainer,
    )  # fmt: skip
    trainer.train()
    return [entry[name] for entry in trainer.state.log_history for name in ("loss", "eval_loss") if name in entry]


@pytest.mark.parametrize("bucketed", ["true", "false"])
@pytest.mark.parametrize("cached", [True, False], ids=["frames", "audio"])
def test_a_run_on_resident_clips_is_the_run_on_the_files(cached, bucketed, prepared, tmp_path):
    read = from_files(prepared, tmp_path, cached)
    losses = [
        history(splits, tmp_path / str(number), bucketed)
        for number, splits in enumerate((read, resident(read, stored(read))))
    ]
    assert len(losses[0]) == 8
    assert losses[0] == (losses[1] if cached else pytest.approx(losses[1], rel=1e-4))


@pytest.mark.parametrize(
    ("device", "collator", "workers", "reason"),
    [
        ("cpu", WaveformCollator(True), 0, "there is no GPU"),
        ("cuda", ExtractorCollator(None), 0, "the features of this encoder"),
        ("cuda", WaveformCollator(True), 2, "trainer.extra_training_args.dataloader_num_workers"),
        ("cuda", WaveformCollator(True), 0, ""),
    ],
)
def test_clips_lie_on_a_gpu_that_can_make_their_batches(device, collator, workers, reason):
    arguments = SimpleNamespace(device=torch.device(device), dataloader_num_workers=workers)
    found = not_resident(collator, arguments)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("free", [4.2, 3.8])
def test_clips_take_no_more_than_a_quarter_of_the_free_memory(free, prepared, tmp_path, monkeypatch):
    store = stored(from_files(prepared, tmp_path, cached=False))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * store.rows.nbytes), 0))
    assert fits(store, torch.device("cuda")) == (free > 4)
