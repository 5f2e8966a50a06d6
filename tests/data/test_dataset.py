from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from ser.data.batches import MINIMUM, scoring_batches
from ser.data.dataset import WaveformCollator, WaveformDataset


def examples(prepared, count=4):
    clips = WaveformDataset(prepared, prepared.utterances[::37][:count], trim=False)
    return [clips[index] for index in range(count)]


@pytest.mark.parametrize("do_normalize", [True, False])
def test_a_batch_is_what_the_librarys_feature_extractor_makes(do_normalize, prepared):
    rows = examples(prepared)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=do_normalize, return_attention_mask=True)
    waveforms = [row["samples"].astype(np.float32) / 32768 for row in rows]
    theirs = extractor(waveforms, sampling_rate=16000, padding=True, return_tensors="pt")
    ours = WaveformCollator(do_normalize)(rows)
    assert torch.equal(ours["input_values"], theirs.input_values)
    assert torch.equal(ours["attention_mask"], theirs.attention_mask.long())


def test_a_clip_shorter_than_a_frame_is_padded_to_one():
    batch = WaveformCollator(True)([{"samples": np.ones(10, np.int16), "label": 3}])
    assert batch["input_values"].shape == (1, MINIMUM)
    assert batch["attention_mask"].sum() == 10
    assert batch["labels"].tolist() == [3]


def test_a_silent_clip_stays_finite():
    batch = WaveformCollator(True)([{"samples": np.zeros(2000, np.int16), "label": 0}])
    assert torch.isfinite(batch["input_values"]).all()


def test_the_labels_are_the_order_of_the_corpus(prepared):
    clips = WaveformDataset(prepared, prepared.utterances, trim=False)
    assert all(prepared.emotions[clips[index]["label"]] == row.emotion for index, row in enumerate(prepared.utterances))


def test_trimmed_clips_are_views_of_their_speech(prepared):
    rows = prepared.utterances[:1]
    silence = np.zeros(16_000, np.int16)
    clip = prepared.audio.samples(prepared.indices(rows)[0])
    recording = np.concatenate([silence, clip, silence])
    lengths = np.full(len(prepared.audio), len(recording))
    audio = SimpleNamespace(samples=lambda row: recording, lengths=lambda: lengths, select=prepared.audio.select)
    clips = WaveformDataset(replace(prepared, audio=audio), rows, trim=True)
    assert clips.lengths().tolist() == [len(clips[0]["samples"])] == pytest.approx([len(clip) + 3200], abs=640)
    assert np.shares_memory(clips[0]["samples"], recording)
    assert WaveformDataset(replace(prepared, audio=audio), rows, trim=False).lengths().tolist() == [len(recording)]


@pytest.mark.parametrize("equal_lengths", [True, False])
def test_scoring_batches_hold_every_clip_once(equal_lengths):
    lengths = [5, 3, 5, 5, 4, 3, 5]
    batches = scoring_batches(lengths, 2, equal_lengths)
    assert sorted(index for batch in batches for index in batch) == list(range(7))
    assert max(map(len, batches)) == 2
    if equal_lengths:
        assert all(len({lengths[index] for index in batch}) == 1 for batch in batches)
