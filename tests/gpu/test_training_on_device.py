"""Training on the device is the training of the CPU's tests, and what is switched on for speed changes nothing."""

import csv

import pytest
import torch
import transformers
from conftest import composed
from helpers.tiny_trainers import SHAPE, AtStep, Watched, equal, ready, weights_and_moments
from packaging.version import Version
from safetensors.torch import load_file
from transformers import TrainerCallback

from ser.acceleration import compilation, gpu_dataset
from ser.acceleration.attention import MASKED_SDPA
from ser.commands.train import train
from ser.errors import UserError
from ser.training.trainer import EmotionTrainer

QUICK = (
    "model=tiny", "trainer=scratch", "tracking=none", "trainer.max_steps=4", "trainer.eval_strategy=steps",
    "trainer.eval_steps=2", "trainer.save_steps=2", "trainer.logging_steps=1", "model.freeze=cnn",
)  # fmt: skip
NO_DROPOUT = tuple(
    f"model.encoder_config.{name}_dropout=0" for name in ("hidden", "attention", "activation", "feat_proj")
)
NEAR = {"cpu": 1e-4, "cuda": 2e-3}
"""Sums in another order; on a GPU convolutions may round to TF32."""


def run(data_copy, folder, *overrides):
    train(composed("train", *QUICK, f"data_dir='{data_copy}'", f"output_dir='{folder}'", *overrides))


def losses(data_copy, folder, *overrides):
    run(data_copy, folder, *overrides)
    return of_history(folder)


def of_history(folder):
    rows = list(csv.DictReader((folder / "history.csv").open()))
    return [float(row[name]) for row in rows for name in ("train_loss", "eval_loss") if row[name]]


@pytest.fixture(scope="module")
def without_dropout(data_copy, tmp_path_factory):
    """The losses of a run that is not sped up."""
    return losses(data_copy, tmp_path_factory.mktemp("plain") / "run", *NO_DROPOUT)


def test_clips_on_the_gpu_give_the_losses_of_mapped_ones(device, without_dropout, data_copy, tmp_path, monkeypatch):
    if device.type == "cpu":  # where `ser` would leave them in the memory map
        monkeypatch.setattr(gpu_dataset, "reason_not_on_gpu", lambda *_: "")
        monkeypatch.setattr(gpu_dataset, "fits", lambda *_: True)
    moved = losses(data_copy, tmp_path / "moved", *NO_DROPOUT, "trainer.dataset_on_gpu=true")
    assert "memory map" not in (tmp_path / "moved" / "run.log").read_text()
    assert moved == pytest.approx(without_dropout, rel=NEAR[device.type])


def test_the_cached_cnn_gives_the_losses_of_the_one_that_is_run(device, without_dropout, data_copy, tmp_path):
    cached = losses(data_copy, tmp_path / "cached", *NO_DROPOUT, "trainer.cache_features=true")
    assert "output of the frozen CNN" in (tmp_path / "cached" / "run.log").read_text()
    assert cached == pytest.approx(without_dropout, rel=NEAR[device.type])


@pytest.mark.skipif(
    Version(transformers.__version__) < Version(compilation.ONE_GRAPH_SINCE),
    reason=f"needs transformers {compilation.ONE_GRAPH_SINCE}",
)
def test_compiled_layers_give_the_losses_of_the_plain_ones(device, without_dropout, data_copy, tmp_path, monkeypatch):
    if device.type == "cpu":  # the same graphs, without minutes of a C++ compiler
        whole = compilation.compile_encoder
        monkeypatch.setattr(compilation, "compile_encoder", lambda *some, backend: whole(*some, backend="aot_eager"))
    compiled = losses(data_copy, tmp_path / "compiled", *NO_DROPOUT, "trainer.compile=true")
    assert compiled == pytest.approx(without_dropout, rel=NEAR[device.type])


def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(device, data_copy, tmp_path, monkeypatch):
    whole = losses(data_copy, tmp_path / "whole")
    with monkeypatch.context() as patch:
        step = EmotionTrainer.training_step

        def interrupted(trainer, *args, **kwargs):
            if trainer.state.global_step == 3:
                raise KeyboardInterrupt
            return step(trainer, *args, **kwargs)

        patch.setattr(EmotionTrainer, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(data_copy, tmp_path / "resumed")
    resumed = losses(data_copy, tmp_path / "resumed", "resume=true")
    assert "resuming from" in (tmp_path / "resumed" / "run.log").read_text()
    assert resumed == pytest.approx(whole, rel=NEAR[device.type])


def test_checkpoints_in_the_background_hold_the_weights_and_moments_of_their_step(device, prepared, tmp_path):
    trainer = ready(prepared, tmp_path, "trainer.background_checkpoints=true", "trainer.max_steps=4")
    seen = {}
    for step in (2, 4):
        trainer.add_callback(AtStep(step, lambda step=step: seen.update({step: weights_and_moments(trainer)})))
    trainer.train()
    for step, (weights, moments) in seen.items():
        folder = tmp_path / "run" / f"checkpoint-{step}"
        assert not (folder / "being_written").exists()
        state = torch.load(folder / "optimizer.pt", weights_only=True)["state"]
        assert equal(load_file(folder / "model.safetensors"), on_cpu(weights))
        assert equal({index: value["exp_avg"].cpu() for index, value in state.items()}, on_cpu(moments))


def on_cpu(tensors):
    return {name: tensor.cpu() for name, tensor in tensors.items()}


class Alarmed(TrainerCallback):
    """CUDA's own alarm for each wait of the host, from the batches in hand to the changed weights."""

    steps = 0

    def on_step_begin(self, *args, **kwargs):
        torch.cuda.set_sync_debug_mode("error")

    def on_step_end(self, *args, **kwargs):
        torch.cuda.set_sync_debug_mode("default")
        self.steps += 1


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_no_step_waits_for_the_device(precision, device, prepared, tmp_path, monkeypatch):
    if device.type == "cpu" and Version(transformers.__version__) < Version(compilation.ONE_GRAPH_SINCE):
        pytest.skip("transformers before 5.24 reads a random tensor of the host in each layer, which looks like a wait")
    monkeypatch.setitem(SHAPE, "mask_time_prob", 0.5)
    monkeypatch.setitem(SHAPE, "mask_time_length", 2)
    trainer = ready(prepared, tmp_path, "trainer=fast", f"trainer.precision={precision}", "trainer.max_steps=2")
    alarm = Alarmed() if device.type == "cuda" else Watched()
    trainer.add_callback(alarm)
    trainer.model.set_attn_implementation(MASKED_SDPA)
    try:
        trainer.train()
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert alarm.steps == 2


def test_a_run_that_does_not_fit_ends_with_a_line_on_what_to_lower(device, data_copy, tmp_path, monkeypatch):
    if device.type == "cpu":  # whose memory nobody wants to fill
        monkeypatch.setattr(EmotionTrainer, "training_step", lambda *_: torch.empty(2**55, dtype=torch.uint8))
    else:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**20) / total)
    try:
        with pytest.raises(UserError, match="out of memory: lower trainer") as error:
            run(data_copy, tmp_path / "run")
    finally:
        if device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
    assert "model.gradient_checkpointing=true" in str(error.value)
    assert "\n" not in str(error.value)


def test_two_visible_gpus_train_on_one(device, data_copy, tmp_path, monkeypatch):
    if device.type == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("one GPU here: the claim is about two")
    if device.type == "cpu":
        pytest.skip("no GPU here: the claim is about two")
    monkeypatch.setattr(torch.nn, "DataParallel", lambda *_: pytest.fail("spread over the GPUs in threads"))
    run(data_copy, tmp_path / "run")
