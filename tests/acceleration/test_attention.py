import pytest
import torch
from helpers.tiny_trainers import SHAPE
from transformers import Wav2Vec2Config, WavLMConfig, set_seed

from ser.acceleration import attention
from ser.acceleration.attention import BLOCKED, MASKED_SDPA, attend_in_blocks, use_attention, use_blocks
from ser.models.classifiers import Wav2Vec2ForSequenceClassification, WavLMForSequenceClassification


@pytest.fixture
def classifier():
    set_seed(0)
    return Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SHAPE)).eval()


@pytest.mark.parametrize(("bf16", "expected"), [(True, "eager"), (False, "sdpa")])
def test_training_on_a_cpu_takes_the_faster_code_and_scoring_what_was_there(bf16, expected, classifier):
    with use_attention(classifier, bf16):
        assert classifier.config._attn_implementation == expected
    assert classifier.config._attn_implementation == "sdpa"


def test_both_codes_compute_the_same(classifier):
    clip, answers = torch.randn(2, 6000), []
    for bf16 in (False, True):
        with use_attention(classifier, bf16), torch.inference_mode():
            answers.append(classifier(clip).logits)
    assert torch.allclose(*answers, atol=1e-6)


def test_an_encoder_that_has_only_its_own_code_keeps_it():
    classifier = WavLMForSequenceClassification(WavLMConfig(**SHAPE)).to("meta")
    with use_attention(classifier, bf16=False):
        assert classifier.config._attn_implementation == "eager"


def test_on_another_device_than_a_cpu_nothing_asks_whether_a_mask_is_needed(classifier):
    with use_attention(classifier.to("meta"), bf16=False):
        assert classifier.config._attn_implementation == MASKED_SDPA


@pytest.mark.parametrize("lengths", [(6000, 6000), (6000, 4000)])
def test_a_mask_that_is_always_given_changes_no_answer(lengths, classifier):
    clips = torch.randn(2, 6000)
    mask = (torch.arange(6000) < torch.tensor(lengths)[:, None]).long()
    answers = []
    for implementation in ("sdpa", MASKED_SDPA):
        classifier.set_attn_implementation(implementation)
        with torch.inference_mode():
            answers.append(classifier(clips, mask).logits)
    assert torch.allclose(*answers, atol=1e-6)


@pytest.mark.parametrize("lengths", [(6000, 6000), (6000, 4000)])
@pytest.mark.parametrize("block", [1, 2 * 2 * 18 * 5, 2**20])
def test_attention_in_blocks_of_any_size_equals_that_of_pytorch(block, lengths, classifier, monkeypatch):
    monkeypatch.setattr(attention, "onednn_computes_fp32_matmul", lambda: True)
    monkeypatch.setattr(attention, "BLOCK", block)
    clips = torch.randn(2, 6000)
    mask = (torch.arange(6000) < torch.tensor(lengths)[:, None]).long()
    with torch.inference_mode():
        expected = classifier(clips, mask).logits
        use_blocks(classifier)
        monkeypatch.setattr(attention, "sdpa_attention_forward", None)  # PyTorch's own code cannot be called
        computed = classifier(clips, mask).logits
    assert classifier.config._attn_implementation == BLOCKED
    assert torch.allclose(computed, expected, atol=1e-6)


@pytest.mark.parametrize("why", ["gradients", "a long clip", "MKL"])
def test_attention_in_blocks_is_left_to_pytorch_where_it_does_not_suit(why, classifier, monkeypatch):
    monkeypatch.setattr(attention, "LONGEST", 5 if why == "a long clip" else 1024)
    monkeypatch.setattr(attention, "onednn_computes_fp32_matmul", lambda: why != "MKL")
    clips = torch.randn(2, 6000)
    with torch.set_grad_enabled(why == "gradients"):
        expected = classifier(clips).logits
        use_blocks(classifier)
        assert torch.equal(classifier(clips).logits, expected)


def test_attention_in_blocks_leaves_a_mask_of_numbers_to_pytorch(monkeypatch):
    monkeypatch.setattr(attention, "onednn_computes_fp32_matmul", lambda: True)
    query, key, value = torch.randn(3, 1, 2, 5, 4)
    mask = torch.zeros(1, 1, 5, 5).masked_fill(torch.arange(5) > 3, -torch.inf)
    module = torch.nn.Module()
    module.is_causal = False
    with torch.inference_mode():
        given, _ = attend_in_blocks(module, query, key, value, mask)
        boolean, _ = attend_in_blocks(module, query, key, value, mask == 0)
    assert torch.allclose(given, boolean, atol=1e-6)


def test_an_encoder_that_has_only_its_own_code_keeps_it_in_prediction():
    classifier = WavLMForSequenceClassification(WavLMConfig(**SHAPE)).to("meta")
    use_blocks(classifier)
    assert classifier.config._attn_implementation == "eager"
