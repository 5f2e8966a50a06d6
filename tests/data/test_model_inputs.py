"""The inputs of encoders by numpy alone, against the feature extractors and torchaudio."""

import numpy as np
import pytest
import torch
import torchaudio
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from ser.data.batches import MINIMUM
from ser.data.model_inputs import PREPARE, Preprocessing
from ser.export import parity


@pytest.fixture(scope="module")
def samples():
    return parity.synthesise_speech(1.3)


def test_filter_banks_are_those_of_kaldi(samples):
    given = Preprocessing(MINIMUM, filters=SeamlessM4TFeatureExtractor().mel_filters)
    features, mask = PREPARE["filter_banks"](samples, given)
    banks = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(samples.astype(np.float32))[None], num_mel_bins=80, sample_frequency=16000, dither=0
    )
    banks = (banks - banks.mean(dim=0)) / (banks.var(dim=0) + 1e-7).sqrt()
    expected = banks[: len(banks) // 2 * 2].reshape(1, len(banks) // 2, 160)
    assert features.shape == expected.shape
    assert mask.shape == features.shape[:2]
    assert torch.allclose(torch.from_numpy(features), expected, atol=2e-3)


def test_log_mel_features_are_those_of_the_extractor(samples):
    extractor = WhisperFeatureExtractor()
    features, mask = PREPARE["log_mel"](samples, Preprocessing(MINIMUM, filters=extractor.mel_filters))
    expected = extractor(samples.astype(np.float32) / 32768, sampling_rate=16000, return_tensors="np").input_features
    np.testing.assert_allclose(features, expected[:, :, : features.shape[2]], atol=1e-4)
    assert mask.sum() == -(-len(samples) // 160)


@pytest.mark.parametrize("do_normalize", [True, False])
def test_waveforms_are_those_of_the_extractor_and_a_short_one_is_padded(samples, do_normalize):
    extractor = Wav2Vec2FeatureExtractor(do_normalize=do_normalize)
    given = Preprocessing(MINIMUM, do_normalize)
    values, mask = PREPARE["waveform"](samples, given)
    expected = extractor(samples.astype(np.float32) / 32768, sampling_rate=16000, return_tensors="np").input_values
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert mask.all()
    short, mask = PREPARE["waveform"](samples[:500], given)
    assert short.shape == mask.shape == (1, MINIMUM)
    assert mask.sum() == 500
    assert not short[0, 500:].any()
