import copy
import hashlib

import pytest
import torch
from helpers.published import PUBLISHED, publish
from helpers.tiny_models import BATCH_DEPENDENT, built, examples, loss_and_gradients, model_config, without_labels

from ser.acceleration import frozen_layers
from ser.data.dataset import collator_for
from ser.models import checkpoint, freezing
from ser.models.architectures import ARCHITECTURES, HEAD

WITH_CNN = [name for name in PUBLISHED if name not in ("w2v-bert", "whisper", "xls-r-turkish")]  # that is another xls-r
FEEL_NO_PADDING = [name for name in WITH_CNN if name not in BATCH_DEPENDENT]
NORM_IN_FRONT = ["xls-r", "hubert", "wavlm", "unispeech-sat"]  # each layer normalises what it reads, as large ones do


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with a checkpoint of every family that has a CNN."""
    root = tmp_path_factory.mktemp("hub")
    return {name: publish(name, root / name) for name in WITH_CNN}


def frozen(folder, freeze="layers:2", **settings):
    """A classifier in training whose first layers are frozen, the part that they are, and its collator."""
    classifier, extractor = built(folder, **settings)
    with torch.no_grad():  # a norm that was never trained undoes nothing, wherever it stands
        for key, parameter in classifier.named_parameters():
            if "norm" in key:
                parameter.add_(torch.randn_like(parameter) / 4)
    freezing.freeze_and_adapt(classifier, model_config(folder, freeze=freeze, **settings))
    return (
        classifier.train(),
        frozen_layers.FrozenLayers(frozen_layers.count_frozen_layers(classifier)),
        collator_for(extractor),
    )


def in_the_place_of(batch, classifier, part, collator, rows):
    """A batch of hidden states: each clip by itself, padded with those of silence to the longest."""
    made = [part.run(classifier, collator([row])["input_values"])[0] for row in rows]
    silence = part.run(classifier, torch.zeros(1, 1200))[0, :, 0]
    states = silence[None, :, None].repeat(len(made), 1, max(one.shape[1] for one in made))
    for row, one in zip(states, made, strict=True):
        row[:, : one.shape[1]] = one
    return {**batch, "input_values": states}


def assert_trains_alike(classifier, part, collator, rows):
    batch = collator(rows)
    states = in_the_place_of(batch, classifier, part, collator, rows)
    classifier.zero_grad()
    logits = classifier(**batch).logits
    loss, gradients = loss_and_gradients(classifier, batch)
    part.install(classifier)
    assert torch.allclose(classifier(**states).logits, logits, rtol=0, atol=1e-6)
    again, same = loss_and_gradients(classifier, states)
    assert torch.allclose(loss, again, rtol=1e-6)
    assert gradients.keys() == same.keys()
    assert len(gradients) >= 4
    for key, gradient in gradients.items():
        assert (gradient - same[key]).norm() <= 1e-5 * gradient.norm() + 1e-7, key


@pytest.mark.parametrize("freeze", ["layers:1", "layers:2", "encoder"])
@pytest.mark.parametrize("name", FEEL_NO_PADDING)
def test_clips_of_unequal_length_train_as_from_the_waveform(name, freeze, published):
    assert_trains_alike(*frozen(published[name], freeze), examples([6000, 9000]))


@pytest.mark.parametrize("name", NORM_IN_FRONT)
def test_layers_that_normalise_what_they_answer_train_as_from_the_waveform(name, published):
    # The other order has tensors of the same names and shapes.
    classifier, part, collator = frozen(published[name], encoder_config={"do_stable_layer_norm": False})
    assert not type(classifier.base_model.encoder).__name__.endswith("StableLayerNorm")
    assert_trains_alike(classifier, part, collator, examples([6000, 9000]))


@pytest.mark.parametrize("freeze", ["layers:2", "encoder"])
@pytest.mark.parametrize("name", BATCH_DEPENDENT)
def test_where_padding_changes_logits_clips_of_equal_length_train_as_from_the_waveform(name, freeze, published):
    assert_trains_alike(*frozen(published[name], freeze), examples([9000, 9000]))


@pytest.mark.parametrize("name", ["data2vec", "moonshine"])
def test_where_padding_changes_only_the_frozen_part_each_clip_has_the_logits_that_it_has_alone(name, published):
    classifier, part, collator = frozen(published[name])
    rows = examples([6000, 9000])
    classifier.eval()
    with torch.no_grad():
        alone = torch.cat([classifier(**without_labels(collator([row]))).logits for row in rows])
        states = without_labels(in_the_place_of(collator(rows), classifier, part, collator, rows))
        part.install(classifier)
        assert torch.allclose(classifier(**states).logits, alone, rtol=0, atol=1e-6)


def modules_below(classifier, part):
    """What a part runs, whatever its names in a family."""
    model = classifier.encoder_module()
    front = ("conv1", "groupnorm", "conv2", "conv3", "feature_extractor", "feature_projection")
    modules = [getattr(model, name) for name in front if hasattr(model, name)]
    encoder = getattr(model, "encoder", model)
    return [*modules, getattr(encoder, "pos_conv_embed", modules[0]), *encoder.layers[: part.depth]]


@pytest.mark.parametrize("name", WITH_CNN)
def test_what_stands_below_is_not_run_again(name, published):
    classifier, part, collator = frozen(published[name], gradient_checkpointing=True)
    rows = examples([6000, 9000])
    states = in_the_place_of(collator(rows), classifier, part, collator, rows)
    part.install(classifier)
    calls = []
    for module in modules_below(classifier, part):
        module.register_forward_hook(lambda module, *_: calls.append(module))
    loss, _ = loss_and_gradients(classifier, states)
    assert torch.isfinite(loss)
    assert not calls
    classifier(**collator(rows))
    assert set(calls) == set(modules_below(classifier, part))


@pytest.mark.parametrize("name", WITH_CNN)
def test_a_waveform_still_goes_through_the_whole_encoder(name, published):
    classifier, part, collator = frozen(published[name])
    batch = without_labels(collator(examples([6000, 9000])))
    names = list(classifier.state_dict())
    with torch.inference_mode():
        before = classifier.eval()(**batch).logits
        part.install(classifier)
        part.install(classifier)
        assert torch.equal(classifier(**batch).logits, before)
    assert list(classifier.state_dict()) == names


@pytest.mark.parametrize("name", WITH_CNN)
def test_a_copy_of_an_installed_classifier_uses_its_own_weights(name, published):
    classifier, part, collator = frozen(published[name])
    rows = examples([9000])
    states = without_labels(in_the_place_of(collator(rows), classifier, part, collator, rows))
    part.install(classifier)
    twin = copy.deepcopy(classifier).eval()
    with torch.inference_mode():
        before = twin(**states).logits
        for parameter in classifier.parameters():
            parameter.zero_()
        assert torch.equal(twin(**states).logits, before)


def test_the_checkpoint_is_the_same_byte_for_byte(published, tmp_path):
    classifier, part, _ = frozen(published["hubert"])
    _, extractor = built(published["hubert"])
    written = []
    for folder in (tmp_path / "without", tmp_path / "with"):
        checkpoint.save(classifier, extractor, folder, {})
        written.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*")})
        part.install(classifier)
    assert written[0] == written[1]


@pytest.mark.parametrize("name", WITH_CNN)
def test_bfloat16_states_are_taken_under_autocast(name, published):
    classifier, part, collator = frozen(published[name])
    rows = examples([6000, 9000])
    states = in_the_place_of(collator(rows), classifier, part, collator, rows)
    part.install(classifier)
    loss, _ = loss_and_gradients(classifier, states)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, gradients = loss_and_gradients(
            classifier, {**states, "input_values": states["input_values"].bfloat16()}
        )
    assert torch.allclose(rounded, loss, rtol=3e-2)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"freeze": "none"}, 0),
        ({"freeze": "cnn"}, 0),
        ({"freeze": "layers:0"}, 0),
        ({"freeze": "layers:2"}, 2),
        ({"freeze": "encoder"}, 3),
        ({"freeze": "none", "lora_rank": 2}, 0),
    ],
)
@pytest.mark.parametrize("name", ["xls-r", "moonshine"])
def test_layers_are_counted_as_frozen_where_nothing_trains_them(name, settings, expected, published):
    _, part, _ = frozen(published[name], **settings)
    assert part.depth == expected


@pytest.mark.parametrize("name", WITH_CNN)
def test_without_an_obstacle_an_encoder_in_training_answers_the_same_each_time(name, published):
    classifier, _, collator = frozen(published[name])
    assert frozen_layers.reason_not_cacheable(classifier.config) == ""
    batch = collator(examples([6000, 9000]))
    assert torch.equal(classifier(**batch).logits, classifier(**batch).logits)
    dropouts = [module.p for module in classifier.modules() if isinstance(module, torch.nn.Dropout)]
    assert not any(dropouts)


RANDOM = [{key: 0.1} for key in (*frozen_layers.DROPOUTS, *frozen_layers.MASKS)]


@pytest.mark.parametrize(
    "setting", [*RANDOM, {"use_weighted_layer_sum": True}, {"add_adapter": True}, {"conv_pos_batch_norm": True}]
)
def test_what_stands_in_the_way_is_named(setting, published):
    classifier, _, _ = frozen(published["hubert"])
    classifier.config.update(setting)
    (key,) = setting
    assert key.removeprefix("use_") in frozen_layers.reason_not_cacheable(classifier.config)


def test_specaugment_that_is_switched_off_does_not_stand_in_the_way(published):
    classifier, _, _ = frozen(published["hubert"])
    classifier.config.update({"mask_time_prob": 0.3, "apply_spec_augment": False})
    assert frozen_layers.reason_not_cacheable(classifier.config) == ""


@pytest.mark.parametrize("name", WITH_CNN)
def test_the_fingerprint_is_of_all_below_and_of_nothing_above(name, published):
    classifier, part, _ = frozen(published[name])
    prints = [part.fingerprint(classifier), frozen_layers.FrozenLayers(1).fingerprint(classifier)]
    below = dict(part.weights(classifier))
    with torch.no_grad():
        for key, parameter in classifier.named_parameters():
            if key.startswith((*HEAD, f"{ARCHITECTURES[classifier.config.model_type].layers}2.")):
                assert key not in below
                parameter.add_(1)
        classifier.config.update({"classifier_proj_size": 99, "id2label": {0: "calm"}})
        assert part.fingerprint(classifier) == prints[0]
        front = {key.split(".layers.")[0] for key in below}
        chosen = [next(key for key in below if key.startswith(each)) for each in sorted(front)]
        assert len(chosen) > 5
        for key in (*chosen, next(key for key in below if ".layers.1." in key)):
            below[key].add_(1e-3)
            prints.append(part.fingerprint(classifier))
    heads = "encoder_num_attention_heads" if name == "moonshine" else "num_attention_heads"
    for setting in ({heads: 1}, {"rope_parameters": {}} if name == "moonshine" else {"layer_norm_eps": 1e-3}):
        classifier.config.update(setting)
        prints.append(part.fingerprint(classifier))
    assert len(set(prints)) == len(prints)


def test_the_last_layers_state_comes_before_the_norm_that_follows_it(published):
    classifier, _, collator = frozen(published["xls-r"])
    waveform = collator(examples([9000]))["input_values"]
    states = classifier.base_model(waveform, output_hidden_states=True).hidden_states
    for depth in (1, 2):
        assert torch.allclose(
            frozen_layers.FrozenLayers(depth).run(classifier, waveform)[0].T, states[depth][0], atol=1e-6
        )
    last = frozen_layers.FrozenLayers(3).run(classifier, waveform).transpose(1, 2)
    answer = classifier.base_model(waveform).last_hidden_state
    assert torch.allclose(classifier.base_model.encoder.layer_norm(last), answer, atol=1e-6)
    assert not torch.allclose(last, answer, atol=1e-2)
