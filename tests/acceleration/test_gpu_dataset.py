from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.never_waits import NeverWaits
from helpers.tiny_features import built, some
from transformers import set_seed

from ser.acceleration import feature_cache
from ser.acceleration.cached_features import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.frozen_cnn import FrozenCnn
from ser.acceleration.gpu_dataset import (
    GpuCollator,
    GpuDataset,
    GpuFeatureCollator,
    Inputs,
    fits,
    inputs_on_gpu,
    pack,
    pack_features,
    pack_waveforms,
    reason_not_on_gpu,
)
from ser.corpora.ravdess import EMOTIONS
from ser.data.batches import MINIMUM
from ser.data.dataset import ExtractorCollator, WaveformCollator, WaveformDataset
from ser.models import checkpoint, freezing
from ser.training.arguments import build_arguments
from ser.training.evaluating import validation_metrics
from ser.training.trainer import EmotionTrainer


def two_datasets(prepared):
    return WaveformDataset(prepared, prepared.utterances[::37], trim=False), WaveformDataset(
        prepared, prepared.utterances[5::50], trim=False
    )


def batches(clips, collator, indices=((0, 3, 1), (2,), (4, 4))):
    return [collator([clips[index] for index in batch]) for batch in indices]


@pytest.mark.parametrize("do_normalize", [True, False])
def test_batches_made_where_the_audio_lies_are_those_of_the_collator(do_normalize, prepared):
    datasets = two_datasets(prepared)
    collator = GpuCollator(pack_waveforms(datasets), do_normalize)
    for clips, first in zip(datasets, (0, len(datasets[0])), strict=True):
        ours, theirs = batches(GpuDataset(clips, first), collator), batches(clips, WaveformCollator(do_normalize))
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.keys() == other.keys()
            assert torch.equal(mine["attention_mask"], other["attention_mask"])
            assert torch.equal(mine["labels"], other["labels"])
            assert mine["input_values"].dtype is torch.float32
            assert torch.allclose(mine["input_values"], other["input_values"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batches_of_frames_are_those_of_the_collator_bit_for_bit(dtype, prepared, tmp_path):
    clips = some(prepared)
    _, cache = built(clips, tmp_path, dtype)
    frames = CachedFeatureDataset(cache, clips)
    collator = GpuFeatureCollator(pack_features([frames, frames], cache))
    for first in (0, len(clips)):
        for mine, other in zip(
            batches(GpuDataset(frames, first), collator, ((0, 2), (1,))),
            batches(frames, CachedFeatureCollator(cache), ((0, 2), (1,))),
            strict=True,
        ):
            assert mine.keys() == other.keys()
            assert all(torch.equal(mine[name], other[name]) for name in mine)
            assert mine["input_values"].dtype is dtype


def test_a_short_or_silent_clip_is_padded_and_stays_finite():
    class Toy:
        clips = (np.ones(10, np.int16), np.zeros(2000, np.int16))

        def __len__(self):
            return 2

        def lengths(self):
            return np.array([10, 2000])

        def labels(self):
            return np.array([0, 1])

        def __getitem__(self, index):
            return {"samples": self.clips[index], "label": index, "clip": index}

    collator, alone = GpuCollator(pack_waveforms([Toy()]), True), ((0,), (1,))
    ours, theirs = batches(GpuDataset(Toy(), 0), collator, alone), batches(Toy(), WaveformCollator(True), alone)
    for made, other in zip(ours, theirs, strict=True):
        assert torch.equal(made["input_values"], other["input_values"])
        assert torch.equal(made["attention_mask"], other["attention_mask"])
    assert ours[0]["input_values"].shape == (1, MINIMUM)


def test_a_batch_is_made_without_a_look_at_the_device(prepared):
    clips, _ = two_datasets(prepared)
    on_gpu = GpuDataset(clips, 0)
    collator = GpuCollator(pack_waveforms([clips]), True)
    rows = [on_gpu[index] for index in range(3)]
    collator(rows)
    with NeverWaits():
        collator(rows)


def test_the_host_holds_lengths_and_labels(prepared):
    clips, _ = two_datasets(prepared)
    on_gpu = GpuDataset(clips, 7)
    assert len(on_gpu) == len(clips)
    assert on_gpu.lengths().tolist() == clips.lengths().tolist()
    for index in range(len(clips)):
        assert on_gpu[index]["label"] == clips[index]["label"]
    assert [on_gpu[index]["packed"] for index in range(2)] == [7, 8]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_batches_of_the_collator_and_is_not_waited_for(prepared):
    clips, _ = two_datasets(prepared)
    on_gpu, collator = GpuDataset(clips, 0), GpuCollator(pack_waveforms([clips]).to(torch.device("cuda")), True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        ours = batches(on_gpu, collator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for mine, other in zip(ours, batches(clips, WaveformCollator(True)), strict=True):
        assert torch.allclose(mine["input_values"].cpu(), other["input_values"], rtol=0, atol=1e-5)


def masked_encoder():
    """The tiny encoder with a frozen CNN and SpecAugment, and its preprocessing."""
    model = composed("train", "model=tiny", "model.freeze=cnn").model
    model.encoder_config.update(apply_spec_augment=True, mask_time_prob=0.5, mask_time_length=2)
    set_seed(0)
    classifier, extractor = checkpoint.build(model, EMOTIONS)
    freezing.freeze_and_adapt(classifier, model)
    return classifier, extractor


def from_files(prepared, tmp_path, cached):
    """Two datasets of the toy corpus, as waveforms or as frames, and a model that takes both."""
    datasets = [WaveformDataset(prepared, prepared.utterances[start::20], trim=False) for start in (0, 1)]
    if not cached:
        return Inputs(*datasets, WaveformCollator(True))
    everything = WaveformDataset(prepared, prepared.utterances, trim=False)
    cache = feature_cache.open_or_compute(*masked_encoder(), everything, tmp_path / "features", torch.float32)
    return Inputs(*(CachedFeatureDataset(cache, clips) for clips in datasets), CachedFeatureCollator(cache))


def history(inputs, tmp_path, bucketed):
    """The losses of a short run."""
    steps = [f"trainer.{name}=3" for name in ("eval_steps", "save_steps")]
    cfg = composed(
        "train", "tracking=none", "trainer=fast", "trainer.precision=fp32", "trainer.max_steps=6",
        "trainer.logging_steps=1", f"trainer.bucket_by_length={bucketed}", *steps,
    )  # fmt: skip
    classifier, _ = masked_encoder()
    FrozenCnn().install(classifier)  # waveforms go through the CNN as before
    set_seed(0)
    trainer = EmotionTrainer(
        model=classifier, args=build_arguments(cfg, tmp_path), data_collator=inputs.collator,
        train_dataset=inputs.train, eval_dataset=inputs.evaluated, compute_metrics=validation_metrics,
        options=cfg.trainer,
    )  # fmt: skip
    trainer.train()
    return [entry[name] for entry in trainer.state.log_history for name in ("loss", "eval_loss") if name in entry]


@pytest.mark.parametrize("bucketed", ["true", "false"])
@pytest.mark.parametrize("cached", [True, False], ids=["frames", "audio"])
def test_a_run_on_packed_clips_is_the_run_on_the_files(cached, bucketed, prepared, tmp_path):
    inputs = from_files(prepared, tmp_path, cached)
    losses = [
        history(one, tmp_path / str(number), bucketed)
        for number, one in enumerate((inputs, inputs_on_gpu(inputs, pack(inputs))))
    ]
    assert len(losses[0]) == 8
    assert losses[0] == (losses[1] if cached else pytest.approx(losses[1], rel=1e-4))


@pytest.mark.parametrize(
    ("device", "inputs", "workers", "reason"),
    [
        ("cpu", Inputs(None, None, WaveformCollator(True)), 0, "there is no GPU"),
        ("cuda", Inputs(None, None, ExtractorCollator(None)), 0, "the feature extractor of this encoder"),
        ("cuda", Inputs(None, None, WaveformCollator(True)), 2, "trainer.extra_training_args.dataloader_num_workers"),
        ("cuda", Inputs(None, None, WaveformCollator(True), augmented=True), 4, "the CPU augments them"),
        ("cuda", Inputs(None, None, WaveformCollator(True)), 0, ""),
    ],
)
def test_clips_lie_on_a_gpu_that_can_make_their_batches(device, inputs, workers, reason):
    arguments = SimpleNamespace(device=torch.device(device), dataloader_num_workers=workers)
    found = reason_not_on_gpu(inputs, arguments)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("free", [4.2, 3.8])
def test_clips_take_no_more_than_a_quarter_of_the_free_memory(free, prepared, tmp_path, monkeypatch):
    packed = pack(from_files(prepared, tmp_path, cached=False))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * packed.rows.nbytes), 0))
    assert fits(packed, torch.device("cuda")) == (free > 4)
