"""What scripts/memory.py computes is what a device allocates."""

import gc
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import composed

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import memory

SECONDS = {"cpu": 1.0, "cuda": 3.7}
NEAR = {"cpu": 0.02, "cuda": 0.15}
"""Largest difference, as a share: on a GPU there are buffers inside kernels too."""


def model_of(device):
    """The README's row on a GPU; a toy on the CPU."""
    return memory.published("xlsr_1b") if device.type == "cuda" else composed("train", "model=tiny").model


def classifier_of(model, setting, device):
    """The classifier as it trains on the device."""
    if device.type == "cpu":  # counted, as on the meta device, through the script's own autocast
        classifier = memory.classifier_of(model, setting, "cpu")
        classifier.set_attn_implementation("eager")
        return classifier
    classifier = memory.classifier_of(model, replace(setting, checkpointing=False), "cuda")
    if setting.checkpointing:
        classifier.gradient_checkpointing_enable({"use_reentrant": False})
    return classifier


def optimizer_of(classifier, setting):
    trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    if not setting.eight_bit:
        return torch.optim.AdamW(trained)
    return pytest.importorskip("torchao.optim", reason="torchao is not here").AdamW8bit(trained)


@contextmanager
def counted(device):
    """The bytes of tensors: a function that begins to look for the most of them, and one that gives it."""
    if device.type == "cpu":
        with memory.LiveBytes([]) as counter:
            yield lambda: setattr(counter, "peak", counter.live), lambda: counter.peak
        return
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    yield torch.cuda.reset_peak_memory_stats, lambda: torch.cuda.max_memory_allocated() - before


def micro_step(classifier, audio, labels):
    autocast = memory.Autocast() if audio.is_cpu else torch.autocast("cuda", dtype=torch.float16)
    with autocast:
        loss = classifier(audio, labels=labels).loss
    loss.backward()


def measured(device, setting, batch, samples):
    """The most bytes of a micro-step that finds gradients and the optimizer's states there."""
    with counted(device) as (begin, peak):
        classifier = classifier_of(model_of(device), setting, device)
        optimizer = optimizer_of(classifier, setting)
        audio = torch.zeros(batch, samples, device=device)
        labels = torch.zeros(batch, dtype=torch.long, device=device)
        micro_step(classifier, audio, labels)
        optimizer.step()
        begin()
        micro_step(classifier, audio, labels)
        return peak()


def computed(device, setting, batch, samples):
    needed = memory.need(model_of(device), setting, batch, samples)
    if device.type == "cpu":
        eager = memory.classifier_of(model_of(device), setting)
        eager.set_attn_implementation("eager")
        needed = needed._replace(activations=memory.activations(eager, batch, samples))
    return sum(needed)


WHOLE = [setting for setting in memory.SETTINGS if setting.gpus == 1]
"""Settings of one device."""


@pytest.mark.parametrize("setting", WHOLE, ids=lambda setting: setting.name)
def test_a_row_of_the_memory_table_is_what_the_device_allocates(setting, device, record_property):
    samples = round(16000 * SECONDS[device.type])
    expected = computed(device, setting, 4, samples)
    record_property("computed", f"{expected / 2**30:.3f} GiB")
    found = measured(device, setting, 4, samples)
    record_property("measured", f"{found / 2**30:.3f} GiB")
    assert found == pytest.approx(expected, rel=NEAR[device.type])
