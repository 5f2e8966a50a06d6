import numpy as np
import pytest
import torch
from conftest import NeverWaits
from helpers.tiny_features import built, some

from ser.acceleration.feature_cache import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.gpu_dataset import (
    GpuCollator,
    GpuDataset,
    GpuFeatureCollator,
    stored_audio,
    stored_frames,
)
from ser.data.dataset import MINIMUM, WaveformCollator, WaveformDataset


def two_lists(prepared):
    return WaveformDataset(prepared, prepared.utterances[::37], trim=False), WaveformDataset(
        prepared, prepared.utterances[5::50], trim=False
    )


def batches(clips, collator, indices=((0, 3, 1), (2,), (4, 4))):
    return [collator([clips[index] for index in batch]) for batch in indices]


@pytest.mark.parametrize("do_normalize", [True, False])
def test_batches_made_where_the_audio_lies_are_those_of_the_collator(do_normalize, prepared):
    lists = two_lists(prepared)
    collator = GpuCollator(stored_audio(lists), do_normalize)
    for clips, first in zip(lists, (0, len(lists[0])), strict=True):
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
    collator = GpuFeatureCollator(stored_frames([frames, frames], cache))
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
            return [10, 2000]

        def __getitem__(self, index):
            return {"samples": self.clips[index], "label": index, "clip": index}

    collator, alone = GpuCollator(stored_audio([Toy()]), True), ((0,), (1,))
    ours, theirs = batches(GpuDataset(Toy(), 0), collator, alone), batches(Toy(), WaveformCollator(True), alone)
    for made, other in zip(ours, theirs, strict=True):
        assert torch.equal(made["input_values"], other["input_values"])
        assert torch.equal(made["attention_mask"], other["attention_mask"])
    assert ours[0]["input_values"].shape == (1, MINIMUM)


def test_a_batch_is_made_without_a_look_at_the_device(prepared):
    clips, _ = two_lists(prepared)
    resident = GpuDataset(clips, 0)
    collator = GpuCollator(stored_audio([clips]), True)
    rows = [resident[index] for index in range(3)]
    collator(rows)
    with NeverWaits():
        collator(rows)


def test_the_host_knows_lengths_and_labels(prepared):
    clips, _ = two_lists(prepared)
    resident = GpuDataset(clips, 7)
    assert len(resident) == len(clips)
    assert resident.lengths() == clips.lengths()
    for index in range(len(clips)):
        assert resident[index]["label"] == clips[index]["label"]
    assert [resident[index]["row"] for index in range(2)] == [7, 8]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_batches_of_the_collator_and_is_not_waited_for(prepared):
    clips, _ = two_lists(prepared)
    resident, collator = GpuDataset(clips, 0), GpuCollator(stored_audio([clips]).to(torch.device("cuda")), True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        ours = batches(resident, collator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for mine, other in zip(ours, batches(clips, WaveformCollator(True)), strict=True):
        assert torch.allclose(mine["input_values"].cpu(), other["input_values"], rtol=0, atol=1e-5)
