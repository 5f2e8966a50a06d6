import csv

import pytest
import torch
from conftest import composed
from safetensors.torch import load_file

from ser.acceleration import frozen_layers
from ser.acceleration.frozen_cnn import FrozenCnn
from ser.commands.train import train
from ser.corpora.ravdess import EMOTIONS
from ser.models import checkpoint, freezing
from ser.training.datasets import frozen_part

QUICK = (
    "model=tiny", "trainer=scratch", "tracking=none", "trainer.max_steps=4", "trainer.eval_strategy=steps",
    "trainer.eval_steps=2", "trainer.save_steps=2", "trainer.logging_steps=1", "model.freeze=cnn",
)  # fmt: skip


def losses(data_copy, folder, *overrides):
    train(composed("train", *QUICK, f"data_dir='{data_copy}'", f"output_dir='{folder}'", *overrides))
    rows = list(csv.DictReader((folder / "history.csv").open()))
    return [float(row[name]) for row in rows for name in ("train_loss", "eval_loss") if row[name]]


@pytest.fixture(scope="module")
def plain(data_copy, tmp_path_factory):
    """The folder of a run with nothing but QUICK, and its losses."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return folder, losses(data_copy, folder)


def test_a_run_that_reads_the_cnns_output_from_a_file_is_the_run_that_computes_it(plain, data_copy, tmp_path):
    folder, expected = plain
    assert losses(data_copy, tmp_path / "cached", "trainer.cache_features=true") == pytest.approx(expected, rel=1e-4)
    assert "output of the frozen CNN" in (tmp_path / "cached" / "run.log").read_text()
    answers = [
        [row["prediction"] for row in csv.DictReader((run / "predictions.csv").open())]
        for run in (folder, tmp_path / "cached")
    ]
    assert answers[0] == answers[1]


def test_trimmed_clips_have_features_of_their_own(data_copy, tmp_path):
    losses(data_copy, tmp_path / "whole", "trainer.cache_features=true")
    before = set((data_copy / "features").iterdir())
    losses(data_copy, tmp_path / "trimmed", "trainer.cache_features=true", "audio.trim=true")
    # The toy corpus is tones from end to end: nothing is cut, and so the same file serves.
    assert set((data_copy / "features").iterdir()) == before
    assert "read from" in (tmp_path / "trimmed" / "run.log").read_text()


def test_where_the_cnn_is_trained_and_there_is_no_gpu_the_log_names_what_is_left_out(data_copy, tmp_path):
    losses(
        data_copy, tmp_path / "run", "trainer.cache_features=true", "model.freeze=none", "trainer.dataset_on_gpu=true"
    )
    logged = (tmp_path / "run" / "run.log").read_text()
    assert "trainer.dataset_on_gpu: clips are read from the memory map, because there is no GPU" in logged
    assert "nothing is cached, because model.freeze lets the CNN be trained" in logged


QUIET = [
    f"model.encoder_config.{name}_dropout=0" for name in ("hidden", "attention", "activation", "feat_proj")
]  # layerdrop and SpecAugment are off in this encoder


def test_a_run_that_starts_above_its_frozen_layers_is_the_run_that_computes_them(data_copy, tmp_path):
    options = (*QUIET, "model.freeze=layers:1")
    plain = losses(data_copy, tmp_path / "plain", *options)
    assert losses(data_copy, tmp_path / "cached", "trainer.cache_features=true", *options) == pytest.approx(
        plain, rel=1e-5
    )
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
    freezing.freeze_and_adapt(classifier, cfg.model)
    with caplog.at_level("INFO", logger="ser"):
        caplog.clear()
        return frozen_part(classifier, cfg.trainer.compile), caplog.messages


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("model.encoder_config.mask_time_prob=0.05", "model.encoder_config.apply_spec_augment=true", *QUIET[1:]),
            "model.encoder_config.hidden_dropout=0.1, model.encoder_config.mask_time_prob=0.05: "
            "their output is random; they are cached with 0 there, for all layers",
        ),
        (("model.weighted_layer_sum=true", *QUIET), "model.weighted_layer_sum reads the states below them as well"),
        (("trainer.compile=true", *QUIET), "trainer.compile makes one graph of all layers"),
    ],
)
def test_where_the_frozen_layers_are_no_constant_the_cnn_is_cached_and_the_log_has_the_reason(options, reason, caplog):
    part, logged = part_of(caplog, *options)
    assert part == FrozenCnn()
    assert logged == [f"trainer.cache_features: the frozen layers are not cached, the CNN is, because {reason}"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), frozen_layers.FrozenLayers(1)),
        (("model.freeze=encoder",), frozen_layers.FrozenLayers(2)),
        (("model.freeze=cnn",), FrozenCnn()),
        (("model.lora_rank=2", "model.freeze=cnn"), FrozenCnn()),
    ],
)
def test_the_cache_reaches_as_far_up_as_the_encoder_is_frozen(options, expected, caplog):
    assert part_of(caplog, *QUIET, *options) == (expected, [])


def test_batches_of_like_length_are_another_order_of_the_same_clips(plain, data_copy, tmp_path):
    assert losses(data_copy, tmp_path / "bucketed", "trainer.bucket_by_length=true") != plain[1]
