"""Features of the exported example, which needs neither torch nor transformers, against torchaudio's."""

import json
import runpy
import shutil
import sys

import numpy as np
import pytest
import torch
import torchaudio
from transformers import SeamlessM4TFeatureExtractor

from ser.export import parity
from ser.export.package import EXAMPLE, TRIM


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The names of predict.py, run in a folder with the files that it reads."""
    shutil.copyfile(EXAMPLE, tmp_path / "predict.py")
    shutil.copyfile(TRIM, tmp_path / "trim.py")
    (tmp_path / "ser.json").write_text(json.dumps({"shortest": 3600}))
    np.save(tmp_path / "mel_filters.npy", SeamlessM4TFeatureExtractor().mel_filters)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trim", raising=False)
    yield runpy.run_path(str(tmp_path / "predict.py"))
    sys.modules.pop("trim", None)


def test_filter_banks_are_those_of_kaldi(example):
    samples = parity.synthesise_speech(1.3)
    features, mask = example["filter_banks"](samples)
    banks = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(samples.astype(np.float32))[None], num_mel_bins=80, sample_frequency=16000, dither=0
    )
    banks = (banks - banks.mean(dim=0)) / (banks.var(dim=0) + 1e-7).sqrt()
    expected = banks[: len(banks) // 2 * 2].reshape(1, len(banks) // 2, 160)
    assert features.shape == expected.shape
    assert mask.shape == features.shape[:2]
    assert torch.allclose(torch.from_numpy(features), expected, atol=2e-3)
