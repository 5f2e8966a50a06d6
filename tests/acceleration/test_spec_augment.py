import copy

import numpy as np
import pytest
import torch
import transformers
from helpers.never_waits import NeverWaits
from helpers.published import PUBLISHED, publish
from helpers.tiny_models import built, examples
from packaging.version import Version

from ser.acceleration.attention import MASKED_SDPA
from ser.acceleration.compilation import ONE_GRAPH_SINCE
from ser.acceleration.spec_augment import accept_masks, draw_masks, true_frame_mask, uses_spec_augment
from ser.data.dataset import collator_for

WITHOUT = {"whisper", "moonshine"}
MASKED_LINE = [name for name in PUBLISHED if name not in WITHOUT]
SPEC_AUGMENT = dict(
    mask_time_prob=0.3, mask_time_length=4, mask_feature_prob=0.3, mask_feature_length=8, mask_feature_min_masks=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with a checkpoint of every family."""
    root = tmp_path_factory.mktemp("hub")
    return {name: publish(name, root / name) for name in PUBLISHED}


def classifier_and_batch(folder, **settings):
    """A classifier in training, and three clips of unequal length."""
    classifier, extractor = built(folder)
    classifier.config.update({**SPEC_AUGMENT, **settings})
    if not hasattr(classifier.base_model, "masked_spec_embed"):  # made only where the config masks from the start
        classifier.base_model.masked_spec_embed = torch.nn.Parameter(torch.rand(classifier.config.hidden_size))
    return classifier.train(), collator_for(extractor)(examples())


def drawn(classifier, batch, seed):
    mask = batch["attention_mask"]
    return draw_masks(classifier, mask.sum(dim=-1), mask.shape[1], seed)


def answers(classifier, batch):
    classifier.zero_grad()
    output = classifier(**batch)
    output.loss.backward()
    gradients = {name: tensor.grad for name, tensor in classifier.named_parameters() if tensor.grad is not None}
    return output.logits.detach(), copy.deepcopy(gradients)


@pytest.mark.parametrize("name", MASKED_LINE)
def test_masks_drawn_beforehand_are_those_of_the_library_and_give_its_answers_bit_for_bit(name, published):
    classifier, batch = classifier_and_batch(published[name])
    np.random.seed([3, 1, 4])
    stock, stock_gradients = answers(classifier, batch)
    masks = drawn(classifier, batch, [3, 1, 4])
    accept_masks(classifier)
    ours, gradients = answers(classifier, {**batch, **masks})
    assert masks["mask_time_indices"].any()
    assert masks["mask_feature_indices"].any()
    assert torch.equal(ours, stock)
    assert gradients.keys() == stock_gradients.keys()
    for parameter, gradient in gradients.items():
        assert torch.allclose(gradient, stock_gradients[parameter], rtol=1e-4, atol=1e-7), parameter
    assert not torch.equal(ours, answers(classifier, batch)[0])  # without masks nothing is hidden


@pytest.mark.parametrize("name", MASKED_LINE)
def test_only_what_the_config_asks_for_is_hidden(name, published):
    classifier, batch = classifier_and_batch(published[name], mask_feature_prob=0.0)
    assert drawn(classifier, batch, [0]).keys() == {"mask_time_indices"}
    classifier.config.update({"mask_time_prob": 0.0, "mask_feature_prob": 0.2})
    assert drawn(classifier, batch, [0]).keys() == {"mask_feature_indices"}
    assert uses_spec_augment(classifier)
    classifier.config.apply_spec_augment = False
    assert not uses_spec_augment(classifier)


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_encoders_of_another_line_are_not_masked(name, published):
    assert not uses_spec_augment(built(published[name])[0])


def test_a_mask_follows_from_its_seed_and_leaves_the_other_random_numbers_alone(published):
    classifier, batch = classifier_and_batch(published["xls-r"])
    np.random.seed(5)
    expected = np.random.rand(2)
    np.random.seed(5)
    found = [np.random.rand()]
    first, again, other = (drawn(classifier, batch, seed)["mask_time_indices"] for seed in ([1, 2], [1, 2], [1, 3]))
    found.append(np.random.rand())
    assert found == list(expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.skipif(
    Version(transformers.__version__) < Version(ONE_GRAPH_SINCE),
    reason="transformers before 5.24 reads a random tensor of the host in each layer, which looks like a wait here",
)
@pytest.mark.parametrize("name", MASKED_LINE)
def test_nothing_waits_for_the_device_from_the_batch_to_the_gradients(name, published):
    classifier, batch = classifier_and_batch(published[name])
    batch.update(drawn(classifier, batch, [0]))
    accept_masks(classifier)
    if classifier._supports_sdpa:
        classifier.set_attn_implementation(MASKED_SDPA)
    classifier.to("meta")  # tensors without values: to read one is an error wherever it happens
    batch = {key: tensor.to("meta") for key, tensor in batch.items()}
    with NeverWaits():
        classifier(**batch).loss.backward()
    assert classifier.projector.weight.grad is not None


def test_the_librarys_own_masks_are_waited_for(published):
    classifier, batch = classifier_and_batch(published["xls-r"])
    with pytest.raises(AssertionError, match="index_put_"), NeverWaits():
        classifier(**batch)


@pytest.mark.parametrize("name", [name for name in MASKED_LINE if name != "w2v-bert"])
def test_the_frames_of_a_clip_are_counted_as_the_library_counts_them(name, published):
    classifier, batch = classifier_and_batch(published[name])
    time = int(classifier.frames(torch.tensor(batch["attention_mask"].shape[1])))
    expected = classifier.base_model._get_feature_vector_attention_mask(time, batch["attention_mask"])
    assert torch.equal(true_frame_mask(classifier.base_model, time, batch["attention_mask"]), expected)
    assert not expected.all()
