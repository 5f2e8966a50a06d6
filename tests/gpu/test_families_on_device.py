"""Every family computes in 16 bits what it computes in float32."""

import numpy as np
import pytest
import torch
from conftest import composed
from helpers.published import PUBLISHED, publish

from ser.corpora.ravdess import EMOTIONS
from ser.data.dataset import collator_for
from ser.models import checkpoint

# ||in 16 bits - in float32|| / ||in float32||: a wrong kernel, mask or scale is off by about 1.
LOGITS = {torch.bfloat16: 0.05, torch.float16: 0.01}
GRADIENTS = {torch.bfloat16: 0.2, torch.float16: 0.05}
SCALES = (2.0**10, 2.0**5, 1.0)
"""Of the loss: without one small gradients are zero in float16; it is lowered where it is too much."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    return {name: publish(name, root / name) for name in PUBLISHED}


def outputs(classifier, batch, dtype, device):
    """Logits, and the gradient of all parameters in one vector."""
    for scale in SCALES:
        classifier.zero_grad()
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
            answer = classifier(**batch)
        (answer.loss * scale).backward()
        gradients = [parameter.grad.flatten() for parameter in classifier.parameters() if parameter.grad is not None]
        whole = torch.cat(gradients).float() / scale
        if whole.isfinite().all():
            break
    return answer.logits.detach().float(), whole


def distance(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_16_bits_answer_and_learn_as_float32_does(name, dtype, device, folders, record_property):
    torch.manual_seed(1)
    model = composed("train", "model=any", f"model.pretrained='{folders[name]}'").model
    classifier, extractor = checkpoint.build(model, EMOTIONS)
    classifier.to(device).eval()  # no dropout; what is random is no matter of precision
    generator = np.random.default_rng(0)
    clips = [
        {"samples": (3000 * generator.standard_normal(length)).astype(np.int16), "label": label}
        for label, length in enumerate((6000, 9000, 16000))
    ]
    batch = {key: tensor.to(device) for key, tensor in collator_for(extractor)(clips).items()}
    expected = outputs(classifier, batch, torch.float32, device)
    found = outputs(classifier, batch, dtype, device)
    off = [distance(one, other) for one, other in zip(found, expected, strict=True)]
    record_property("logits off by", f"{off[0]:.1e}")
    record_property("gradients off by", f"{off[1]:.1e}")
    assert 0 < off[0] < LOGITS[dtype]
    assert 0 < off[1] < GRADIENTS[dtype]
