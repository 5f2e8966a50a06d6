import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from conftest import composed
from torch.testing._internal.two_tensor import TwoTensor

SCRIPT = Path(__file__).parents[2] / "scripts" / "memory.py"
SECOND = 16000


@pytest.fixture(scope="module")
def memory():
    spec = importlib.util.spec_from_file_location("memory", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["memory"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["memory"]


def tiny(layers=2):
    model = composed("train", "model=tiny").model
    model.encoder_config["num_hidden_layers"] = layers
    return model


def settings(memory):
    return {setting.name: setting for setting in memory.SETTINGS}


def eager(memory, device, setting="full, AdamW"):
    """A classifier whose attention is the same operators on every device."""
    classifier = memory.classifier_of(tiny(), settings(memory)[setting], device)
    classifier.set_attn_implementation("eager")
    return classifier


def held_after_forward(memory, device):
    """Bytes of the tensors that autograd says it saved, and bytes that the script finds alive besides the loss."""
    classifier = eager(memory, device)
    audio, labels = torch.zeros(2, SECOND, device=device), torch.zeros(2, dtype=torch.long, device=device)
    known = [*classifier.parameters(), audio, labels]
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with memory.LiveBytes(known) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with memory.Autocast():
            loss = classifier(audio, labels=labels).loss
        live = counter.live - loss.untyped_storage().nbytes()
    for tensor in known:
        saved.pop(tensor.untyped_storage()._cdata, None)
    return sum(saved.values()), live


def test_a_wrapper_of_other_tensors_takes_no_memory_of_its_own(memory):
    pair = TwoTensor(torch.zeros(8), torch.zeros(8))
    with memory.LiveBytes([pair.a, pair.b]) as counter:
        view = pair.view(2, 4)
    assert view.untyped_storage().nbytes() == 32
    assert counter.live == 0


def test_weights_are_four_bytes_for_each_parameter(memory):
    setting = settings(memory)["full, AdamW"]
    classifier = memory.classifier_of(tiny(), setting)
    needed = memory.need(tiny(), setting, 2, SECOND)
    assert needed.weights == 4 * sum(parameter.numel() for parameter in classifier.parameters())
    assert needed.optimizer == 2 * needed.gradients
    assert needed.gradients == needed.weights - 4 * sum(
        parameter.numel() for parameter in classifier.base_model.feature_extractor.parameters()
    )


def test_lora_trains_its_adapters_and_the_head_and_nothing_else(memory):
    full, lora, head = (
        memory.need(tiny(), settings(memory)[name], 2, SECOND)
        for name in ("full, AdamW", "LoRA rank 8 on q, v", "head only, encoder frozen")
    )
    layers, targets, width, rank = 2, 2, 128, 8
    assert lora.gradients - head.gradients == 4 * layers * targets * rank * (width + width)
    assert lora.gradients < full.gradients
    assert lora.weights - full.weights == lora.gradients - head.gradients


@pytest.mark.parametrize("name", ["full, AdamW", "LoRA rank 8 on q, v"])
def test_checkpointing_needs_less_for_activations_and_nothing_else(memory, name):
    kept = memory.need(tiny(12), settings(memory)[name], 2, 4 * SECOND)
    recomputed = memory.need(tiny(12), settings(memory)[f"{name}, checkpointing"], 2, 4 * SECOND)
    assert recomputed.activations < kept.activations
    assert (recomputed.weights, recomputed.optimizer) == (kept.weights, kept.optimizer)


def test_an_8_bit_optimizer_keeps_about_a_quarter_of_a_large_tensor(memory):
    full, small = settings(memory)["full, AdamW"], settings(memory)["full, 8-bit AdamW, checkpointing"]
    assert full.states(2**20) == 8 * 2**20
    assert small.states(2**20) == 2 * 2**20 + 2 * 4 * 2**12
    assert small.states(100) == full.states(100)  # bitsandbytes leaves small tensors alone


def test_a_frozen_encoder_keeps_no_layer_for_the_backward_pass(memory):
    setting = settings(memory)["head only, encoder frozen"]
    assert memory.need(tiny(2), setting, 2, SECOND).activations == memory.need(tiny(12), setting, 2, SECOND).activations


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_is_alive_after_the_forward_pass_is_what_autograd_saved(memory, device):
    saved, live = held_after_forward(memory, device)
    assert saved == live > 0


@pytest.mark.parametrize("setting", ["full, AdamW", "full, AdamW, checkpointing", "LoRA rank 8 on q, v"])
def test_the_meta_device_counts_what_the_cpu_really_allocates(memory, setting):
    meta, cpu = (memory.activations(eager(memory, device, setting), 2, SECOND) for device in ("meta", "cpu"))
    assert meta == pytest.approx(cpu, rel=0.01)


@pytest.mark.parametrize(
    ("name", "millions"), [("wav2vec2_base", 94.6), ("xlsr_300m", 315.7), ("hubert_large", 315.7), ("xlsr_1b", 963)]
)
def test_each_encoder_has_its_published_number_of_parameters(memory, name, millions):
    classifier = memory.classifier_of(memory.published(name), settings(memory)["full, AdamW"])
    assert sum(parameter.numel() for parameter in classifier.parameters()) / 1e6 == pytest.approx(millions, rel=0.001)


def test_the_table_has_a_row_for_each_setting_and_states_that_it_is_computed(memory):
    text = memory.table("wav2vec2_base", batch=1, seconds=1.0)
    assert all(f"| {setting.name} |" in text for setting in memory.SETTINGS)
    assert "Computed from shapes, not measured on a GPU" in text
    assert f"{memory.T4} GiB are usable" in text


@pytest.mark.parametrize(("total", "verdict"), [(13, "yes"), (14, "barely"), (15, "no")])
def test_a_total_near_the_limit_is_not_called_a_fit(memory, total, verdict):
    assert memory.row("x", memory.Need(total * memory.GIB, 0, 0, 0)).endswith(f"| {verdict} |")


def test_fsdp_spreads_weights_gradients_and_states_and_gathers_two_layers(memory):
    classifier = memory.classifier_of(tiny(), settings(memory)["full, AdamW"])
    whole, half = (
        memory.need(tiny(), settings(memory)[name], 2, 4000)
        for name in ("full, AdamW", "full, AdamW, FSDP over 2 GPUs, each")
    )
    assert half[:3] == tuple(part // 2 for part in whole[:3])
    layers = classifier.wav2vec2.encoder.layers
    outside = sum(p.numel() for p in classifier.parameters()) - sum(p.numel() for p in layers.parameters())
    two = 2 * sum(p.numel() for p in layers[0].parameters())
    assert half.activations - whole.activations == 4 * (outside + two)
