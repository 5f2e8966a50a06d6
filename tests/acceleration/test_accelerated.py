import copy
from types import SimpleNamespace

import pytest
import torch
from conftest import composed
from helpers.tiny_trainers import SHAPE
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import Wav2Vec2Config

from ser.acceleration import accelerated, compilation
from ser.acceleration.gpu_dataset import Inputs
from ser.errors import UserError
from ser.models.classifiers import Wav2Vec2ForSequenceClassification

INPUTS = Inputs(None, None, None)


def wav2vec2(**settings):
    return Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**{**SHAPE, **settings}))


def on_cpu(bf16=False):
    return SimpleNamespace(device=torch.device("cpu"), bf16=bf16, dataloader_num_workers=0, fsdp=None)


def options(*overrides):
    return composed("train", "trainer=fast", *overrides).trainer


def dropout_masks():
    torch.manual_seed(0)
    return torch.nn.functional.dropout(torch.ones(4096), 0.5)


def test_a_run_is_accelerated_inside_and_as_it_was_afterwards():
    model, plain = wav2vec2(), dropout_masks()
    before = dict(vars(model.wav2vec2.encoder))
    with accelerated.accelerated(model, options(), on_cpu(bf16=True), INPUTS) as inputs:
        assert inputs is INPUTS  # without a GPU clips stay in the memory map
        assert model.config._attn_implementation == "eager"
        assert not torch.equal(dropout_masks(), plain)
    assert model.config._attn_implementation == "sdpa"
    assert torch.equal(dropout_masks(), plain)
    assert vars(model.wav2vec2.encoder).keys() == before.keys()


def test_float32_on_a_cpu_is_computed_by_the_code_of_the_libraries():
    model, plain = wav2vec2(), dropout_masks()
    with accelerated.accelerated(model, options(), on_cpu(), INPUTS):
        assert model.config._attn_implementation == "sdpa"
        assert torch.equal(dropout_masks(), plain)


def test_an_encoder_that_cannot_be_compiled_is_refused_before_the_clips_are_moved(monkeypatch):
    monkeypatch.setattr(accelerated, "move_to_gpu", lambda *_: pytest.fail("moved"))
    model = wav2vec2(feat_extract_norm="group", do_stable_layer_norm=False)
    with (
        pytest.raises(UserError, match="depend on padding"),
        accelerated.accelerated(
            model, options("trainer.compile=true", "trainer.dataset_on_gpu=true"), on_cpu(), INPUTS
        ),
    ):
        pass


def test_a_copy_of_a_compiled_classifier_runs_its_own_layers():
    model = wav2vec2().train()
    with compilation.compile_encoder(model, 1, CompileCounterWithBackend("eager")):
        twin = copy.deepcopy(model).eval()
        clips = torch.randn(1, 6000)
        before = twin(clips).logits
        with torch.no_grad():
            for tensor in model.wav2vec2.encoder.parameters():
                tensor.zero_()
        assert torch.equal(twin(clips).logits, before)
