import copy
import hashlib
import threading

import numpy as np
import pytest
import torch
from helpers.published import PUBLISHED, publish
from helpers.tiny_models import built, examples, loss_and_gradients, model_config, without_labels

from ser.acceleration import frozen_cnn
from ser.acceleration.frozen_cnn import FrozenCnn
from ser.corpora.ravdess import EMOTIONS
from ser.data.dataset import collator_for
from ser.models import checkpoint, freezing

WITHOUT = {"w2v-bert", "whisper"}
WITH_CNN = [name for name in PUBLISHED if name not in WITHOUT]
OVER_TIME = ("wav2vec2-base", "moonshine")  # a group norm in the CNN


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with a checkpoint of every family."""
    root = tmp_path_factory.mktemp("hub")
    return {name: publish(name, root / name) for name in PUBLISHED}


def frozen(folder, freeze="cnn", **settings):
    """A classifier in training whose CNN is frozen, and its collator."""
    classifier, extractor = built(folder, **settings)
    freezing.freeze_and_adapt(classifier, model_config(folder, freeze=freeze, **settings))
    return classifier.train(), collator_for(extractor)


def silence(classifier):
    return FrozenCnn().run(classifier, torch.zeros(1, 1200))[0, :, 0]


def alone_and_padded(classifier, collator, rows):
    """The CNN's output of each clip by itself, padded with silence to the longest."""
    made = [FrozenCnn().run(classifier, collator([row])["input_values"])[0] for row in rows]
    features = silence(classifier)[None, :, None].repeat(len(made), 1, max(one.shape[1] for one in made))
    for row, one in zip(features, made, strict=True):
        row[:, : one.shape[1]] = one
    return features


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_encoders_that_take_a_waveform_have_a_cnn_to_save(name, published):
    classifier, _ = built(published[name])
    assert frozen_cnn.can_cache(classifier.config) == (name in WITH_CNN)


@pytest.mark.parametrize("settings", [{}, {"weighted_layer_sum": True, "gradient_checkpointing": True}])
@pytest.mark.parametrize("name", WITH_CNN)
def test_features_give_the_loss_and_the_gradients_of_the_waveform_to_the_bit(name, settings, published):
    classifier, collator = frozen(published[name], **settings)
    batch = collator(examples([9000, 9000, 9000]))
    features = FrozenCnn().run(classifier, batch["input_values"])
    assert features.shape[1] == FrozenCnn().channels(classifier.config)
    loss, gradients = loss_and_gradients(classifier, batch)
    FrozenCnn().install(classifier)
    again, same = loss_and_gradients(classifier, {**batch, "input_values": features})
    assert torch.equal(loss, again)
    assert gradients.keys() == same.keys()
    assert all(torch.equal(gradients[key], same[key]) for key in gradients)


@pytest.mark.parametrize("name", [name for name in WITH_CNN if name not in OVER_TIME])
def test_clips_computed_alone_train_as_a_padded_batch_does(name, published):
    classifier, collator = frozen(published[name])
    rows = examples()
    batch = collator(rows)
    loss, gradients = loss_and_gradients(classifier, batch)
    features = alone_and_padded(classifier, collator, rows)
    FrozenCnn().install(classifier)
    again, same = loss_and_gradients(classifier, {**batch, "input_values": features})
    # A convolution over another length sums in another order: 3e-6 in the features here.
    assert torch.allclose(loss, again, rtol=1e-5)
    for key, gradient in gradients.items():
        assert (gradient - same[key]).norm() <= 1e-4 * gradient.norm() + 1e-6, key


@pytest.mark.parametrize("name", OVER_TIME)
def test_where_the_cnn_normalises_over_time_padding_changes_no_frame_of_a_clip(name, published):
    classifier, collator = frozen(published[name])
    rows = examples()
    padded = FrozenCnn().run(classifier, collator(rows)["input_values"])
    alone = FrozenCnn().run(classifier, collator(rows[:1])["input_values"])
    kept = alone_and_padded(classifier, collator, rows)
    assert torch.equal(kept[0, :, : alone.shape[2]], alone[0])
    assert not torch.allclose(padded[0, :, : alone.shape[2]], alone[0], atol=1e-3)


def test_silence_is_what_the_cnn_makes_of_padding(published):
    classifier, collator = frozen(published["wav2vec2-base"])
    frames = FrozenCnn().run(classifier, collator(examples())["input_values"])[0]
    # A clip without an offset has nearly the mean of silence in every channel.
    assert (frames[:, -1] - silence(classifier)).norm() < 0.05 * frames[:, 0].norm()


def test_specaugment_masks_features_as_it_masks_the_waveform(published):
    def masked():
        settings = {"encoder_config": {"mask_time_prob": 0.5, "mask_time_length": 2, "mask_feature_prob": 0.2}}
        torch.manual_seed(1)
        folder = published["xls-r-turkish"]  # it brings the vector that is written over masked frames
        classifier, extractor = checkpoint.build(model_config(folder, **settings), EMOTIONS)
        freezing.freeze_and_adapt(classifier, model_config(folder))
        return classifier.train(), collator_for(extractor)

    losses = []
    for cached in (False, True):
        classifier, collator = masked()
        batch = collator(examples([9000, 9000]))
        if cached:
            batch["input_values"] = FrozenCnn().run(classifier, batch["input_values"])
            FrozenCnn().install(classifier)
        np.random.seed(0)
        losses.append(classifier(**batch).loss)
        np.random.seed(1)
        assert not torch.equal(classifier(**batch).loss, losses[-1])
    assert torch.equal(*losses)


@pytest.mark.parametrize("name", WITH_CNN)
def test_a_waveform_still_goes_through_the_cnn(name, published):
    classifier, collator = frozen(published[name])
    batch = without_labels(collator(examples()))
    with torch.inference_mode():
        before = classifier.eval()(**batch).logits
        FrozenCnn().install(classifier)
        FrozenCnn().install(classifier)
        first = classifier(**batch).logits
        features = FrozenCnn().run(classifier, batch["input_values"])
        from_features = classifier(**{**batch, "input_values": features}).logits
        again = classifier(**batch).logits
    assert torch.equal(before, first)
    assert torch.equal(before, from_features)
    assert torch.equal(before, again)


@pytest.mark.parametrize("name", WITH_CNN)
def test_a_copy_of_an_installed_classifier_uses_its_own_weights(name, published):
    classifier, collator = frozen(published[name])
    FrozenCnn().install(classifier)
    twin = copy.deepcopy(classifier).eval()
    batch = without_labels(collator(examples([9000])))
    with torch.inference_mode():
        before = twin(**batch).logits
        for _, tensor in frozen_cnn.cnn_weights(classifier):
            tensor.zero_()
        assert torch.equal(twin(**batch).logits, before)


@pytest.mark.parametrize("name", WITH_CNN)
def test_the_checkpoint_is_the_same_byte_for_byte(name, published, tmp_path):
    classifier, _ = frozen(published[name])
    _, extractor = built(published[name])
    names = list(classifier.state_dict())
    written = []
    for folder in (tmp_path / "without", tmp_path / "with"):
        checkpoint.save(classifier, extractor, folder, {})
        written.append(
            {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
        )
        FrozenCnn().install(classifier)
    assert written[0] == written[1]
    assert list(classifier.state_dict()) == names


@pytest.mark.parametrize("name", WITH_CNN)
def test_bfloat16_features_are_taken_with_and_without_autocast(name, published):
    classifier, collator = frozen(published[name])
    batch = collator(examples([9000, 9000]))
    loss, _ = loss_and_gradients(classifier, batch)
    features = FrozenCnn().run(classifier, batch["input_values"]).bfloat16()
    FrozenCnn().install(classifier)
    bare, _ = loss_and_gradients(classifier, {**batch, "input_values": features})
    with torch.autocast("cpu", torch.bfloat16):
        rounded, gradients = loss_and_gradients(classifier, {**batch, "input_values": features})
    assert torch.allclose(bare, loss, rtol=1e-2)
    assert torch.allclose(rounded, loss, rtol=3e-2)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"freeze": "cnn"}, True),
        ({"freeze": "encoder"}, True),
        ({"freeze": "layers:1"}, True),
        ({"freeze": "none", "lora_rank": 2}, True),
        ({"freeze": "none"}, False),
    ],
)
@pytest.mark.parametrize("name", ["xls-r", "moonshine"])
def test_the_cnn_is_frozen_where_nothing_trains_it(name, settings, expected, published):
    classifier, _ = frozen(published[name], **settings)
    assert frozen_cnn.is_frozen(classifier) == expected


@pytest.mark.parametrize("name", ["hubert", "moonshine"])
def test_lora_merges_into_an_installed_classifier(name, published):
    classifier, extractor = built(published[name])
    adapter = freezing.freeze_and_adapt(classifier, model_config(published[name], lora_rank=2))
    FrozenCnn().install(classifier)
    whole = freezing.merge_lora(classifier, adapter)
    collator = collator_for(extractor)
    batch = without_labels(collator(examples([9000])))
    with torch.inference_mode():
        assert torch.isfinite(whole.eval()(**batch).logits).all()


@pytest.mark.parametrize("name", WITH_CNN)
def test_the_fingerprint_is_of_the_cnn_alone(name, published):
    classifier, _ = frozen(published[name])
    prints = [FrozenCnn().fingerprint(classifier)]
    with torch.no_grad():
        for parameter in classifier.projector.parameters():
            parameter.add_(1)
        assert FrozenCnn().fingerprint(classifier) == prints[0]
        for _, tensor in frozen_cnn.cnn_weights(classifier):
            tensor[-1].add_(1e-3)
            prints.append(FrozenCnn().fingerprint(classifier))
    if hasattr(classifier.config, "feat_extract_activation"):
        classifier.config.feat_extract_activation = "relu"
        prints.append(FrozenCnn().fingerprint(classifier))
    assert len(set(prints)) == len(prints) > 5


def test_a_pass_in_another_thread_does_not_get_the_features_of_this_one(published):
    classifier, collator = frozen(published["moonshine"])
    classifier.eval()
    FrozenCnn().install(classifier)
    batches = [collator(examples([length])) for length in (9000, 14000)]
    batches = [{**one, "input_values": FrozenCnn().run(classifier, one["input_values"])} for one in batches]
    expected = [classifier(**batch).logits for batch in batches]
    began, other_ended = threading.Event(), threading.Event()

    def pause(*_):
        if threading.current_thread().name == "first":
            began.set()
            assert other_ended.wait(30)

    classifier.encoder.conv2.register_forward_pre_hook(pause)
    found = {}
    first = threading.Thread(name="first", target=lambda: found.update(first=classifier(**batches[0]).logits))
    first.start()
    assert began.wait(30)
    second = classifier(**batches[1]).logits
    other_ended.set()
    first.join()
    assert torch.equal(second, expected[1])
    assert torch.equal(found["first"], expected[0])
