import pytest
import torch
from helpers.tiny_trainers import SHAPE
from transformers import Wav2Vec2Config, WavLMConfig, set_seed

from ser.acceleration.attention import MASKED_SDPA, use_attention
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
