import json
import subprocess

import numpy as np
import pytest
import torch
from helpers.commands import FRESH_PYTHON
from helpers.published import PUBLISHED, publish
from helpers.tiny_models import BATCH_DEPENDENT, built, examples, model_config, without_labels
from safetensors.torch import load_file
from transformers import AutoModelForAudioClassification

from ser.corpora.ravdess import EMOTIONS
from ser.data.dataset import collator_for
from ser.errors import UserError
from ser.models import checkpoint, freezing
from ser.models.architectures import ARCHITECTURES, HEAD, find_architecture, find_layers
from ser.training.async_writer import snapshot


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with a checkpoint of every family."""
    root = tmp_path_factory.mktemp("hub")
    return {name: publish(name, root / name) for name in PUBLISHED}


def stored_tensors(folder):
    if (folder / "model.safetensors").is_file():
        return load_file(folder / "model.safetensors")
    return torch.load(folder / "pytorch_model.bin", weights_only=True)


def stored_name(name, stored):
    """The name under which an encoder tensor was published: with or without a prefix, weight norm old or new."""
    old = name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    )
    bare = [each.split(".", 1)[-1] for each in (name, old)]
    return next(each for each in (name, old, *bare, f"model.{name}") if each in stored)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_stored_tensor_of_the_encoder_is_loaded_exactly(name, published):
    classifier, _ = built(published[name])
    stored = stored_tensors(published[name])
    encoder = {key: tensor for key, tensor in classifier.state_dict().items() if not key.startswith(HEAD)}
    assert len(encoder) > 20
    for key, tensor in encoder.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[stored_name(key, stored)].float()), key


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_clip_has_the_same_answer_alone_and_in_a_batch(name, published):
    classifier, extractor = built(published[name], weighted_layer_sum=True)
    collator = collator_for(extractor)
    family = find_architecture(classifier.config, name)
    assert family.depends_on_padding(classifier.config) == (name in BATCH_DEPENDENT)
    classifier.eval()
    with torch.inference_mode():
        together = classifier(**without_labels(collator(examples()))).logits.softmax(-1)
        alone = torch.cat([classifier(**without_labels(collator([row]))).logits.softmax(-1) for row in examples()])
    if name not in BATCH_DEPENDENT:
        assert torch.allclose(together, alone, atol=1e-4)
    assert torch.isfinite(together).all()


def changed_by_a_step(classifier, extractor, rate=1e3):
    """Names of the tensors that one step of SGD on one batch changes."""
    before = {key: tensor.detach().clone() for key, tensor in classifier.named_parameters()}
    trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    classifier.train()
    classifier(**collator_for(extractor)(examples())).loss.backward()
    torch.optim.SGD(trained, lr=rate).step()
    return {key for key, tensor in classifier.named_parameters() if not torch.equal(tensor, before[key])}


def idle(key):
    """Tensors without a gradient by their nature: what a softmax undoes, and what only SpecAugment reads."""
    return key.endswith(("k_proj.bias", "linear_k.bias", "masked_spec_embed", "embed_positions.weight"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_first_layers_are_kept_as_they_were_published(name, published):
    whole, extractor = built(published[name])
    short, _ = built(published[name], num_layers=2)
    family = find_architecture(short.config, name)
    there, kept = (find_layers(classifier) for classifier in (whole, short))
    assert (len(there), len(kept)) == (3, 2)
    assert getattr(short.config, family.layers_key) == 2
    states = [dict(layers[index].state_dict()) for index in range(2) for layers in (there, kept)]
    for full, cut in zip(states[::2], states[1::2], strict=True):
        assert full.keys() == cut.keys()
        assert all(torch.equal(full[key], cut[key]) for key in full)
    batch = without_labels(collator_for(extractor)(examples()))
    with torch.inference_mode():
        assert short.eval()(**batch).logits.shape == (3, len(EMOTIONS))


def test_more_layers_than_there_are_end_the_run_in_a_line(published):
    with pytest.raises(UserError, match=r"model\.num_layers=4: .* has 3 layers"):
        built(published["whisper"], num_layers=4)


def test_an_encoder_that_takes_features_cannot_normalise_a_waveform(published):
    with pytest.raises(UserError, match=r"model\.do_normalize=true: .* takes no waveform"):
        built(published["whisper"], do_normalize=True)


@pytest.mark.parametrize("freeze", ["cnn", "encoder", "none", "layers:2"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_one_step_changes_exactly_what_is_trained(name, freeze, published):
    if name == "w2v-bert" and freeze == "cnn":
        pytest.skip("wav2vec2-BERT has no CNN")
    classifier, extractor = built(published[name])
    family = find_architecture(classifier.config, name)
    freezing.freeze_and_adapt(classifier, model_config(published[name], freeze=freeze))
    changed = changed_by_a_step(classifier, extractor)
    expected = {
        "cnn": lambda key: not key.startswith(family.cnn),
        "encoder": lambda key: False,
        "none": lambda key: True,
        "layers:2": lambda key: key.startswith(f"{family.layers}2."),
    }[freeze]
    names = {key for key, _ in classifier.named_parameters() if key.startswith(HEAD) or expected(key)}
    assert {key for key in changed if not idle(key)} == {key for key in names if not idle(key)}
    assert not {key for key in changed if key not in names}


@pytest.mark.parametrize("name", PUBLISHED)
def test_lora_trains_every_update_and_the_head_and_merges_into_the_weights(name, published, tmp_path):
    classifier, extractor = built(published[name])
    model = model_config(published[name], lora_rank=4, lora_dropout=0.0)
    adapter = freezing.freeze_and_adapt(classifier, model)
    rate = (
        1.0 if name == "wavlm" else 1e4
    )  # feed-forward layers take large steps badly, attention hardly feels small ones
    first, second = (changed_by_a_step(classifier, extractor, rate) for _ in range(2))
    updates = {key for key, _ in classifier.named_parameters() if "lora_" in key}
    head = {key for key, _ in classifier.named_parameters() if key.startswith(HEAD)}
    assert len(updates) == 2 * 3 * len(find_architecture(classifier.config, name).lora)
    assert first == {key for key in updates if "lora_B" in key} | head  # A gets its gradient through B, which is zero
    assert second == updates | head
    assert freezing.trained_state(classifier).keys() == updates | head
    classifier.eval()
    batch = without_labels(collator_for(extractor)(examples()))
    with torch.inference_mode():
        before = classifier(**batch).logits
    checkpoint.save(freezing.merge_lora(classifier, adapter), extractor, tmp_path / "checkpoint", {})
    stored = load_file(tmp_path / "checkpoint" / "model.safetensors")
    assert not [key for key in stored if "lora" in key or "base_layer" in key]
    again, _ = checkpoint.load(tmp_path / "checkpoint", EMOTIONS)
    with torch.inference_mode():
        assert torch.allclose(again.eval()(**batch).logits, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("lora_rank", [None, 2])
@pytest.mark.parametrize("name", ["hubert", "wavlm", "data2vec", "unispeech-sat"])
def test_a_frozen_cnn_keeps_no_graph(name, lora_rank, published):
    classifier, _ = built(published[name])
    freezing.freeze_and_adapt(
        classifier, model_config(published[name], freeze="none" if lora_rank else "encoder", lora_rank=lora_rank)
    )
    features = classifier.train().base_model.feature_extractor(torch.randn(1, 4000))
    assert not features.requires_grad


@pytest.mark.parametrize("name", PUBLISHED)
def test_gradient_checkpointing_gives_the_same_gradients(name, published):
    gradients = []
    for recompute in (False, True):
        classifier, extractor = built(published[name])
        freezing.freeze_and_adapt(
            classifier, model_config(published[name], freeze="none", gradient_checkpointing=recompute)
        )
        classifier.train()
        assert any(getattr(module, "gradient_checkpointing", False) for module in classifier.modules()) == recompute
        classifier(**collator_for(extractor)(examples())).loss.backward()
        gradients.append({key: p.grad for key, p in classifier.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.allclose(gradients[0][key], gradients[1][key], atol=1e-5) for key in gradients[0])


@pytest.mark.parametrize("pooling", ["max", "mean_std", "attentive"])
def test_every_pooling_is_over_true_lengths(pooling, published):
    classifier, extractor = built(published["hubert"], pooling=pooling_of(pooling))
    collator = collator_for(extractor)
    classifier.eval()
    with torch.inference_mode():
        together = classifier(**without_labels(collator(examples()))).logits
        alone = torch.cat([classifier(**without_labels(collator([row]))).logits for row in examples()])
    assert torch.allclose(together, alone, atol=1e-4)


def pooling_of(name):
    from ser.config import Pooling

    return Pooling(name)


def test_the_poolings_are_their_formulas(published):
    hidden, frames = torch.randn(1, 5, 16), torch.tensor([4])
    true = hidden[0, :4]
    expected = {
        "mean": true.mean(0),
        "max": true.amax(0),
        "mean_std": torch.cat([true.mean(0), true.std(0, unbiased=False)]),
    }
    for pooling, value in expected.items():
        classifier, _ = built(published["hubert"], pooling=pooling_of(pooling))
        assert torch.allclose(classifier.pool(hidden, frames)[0], value, atol=1e-6), pooling
    classifier, _ = built(published["hubert"], pooling=pooling_of("attentive"))
    weights = classifier.attention(torch.tanh(true)).softmax(0)
    mean = (weights * true).sum(0)
    deviation = ((weights * (true - mean) ** 2).sum(0)).sqrt()
    assert torch.allclose(classifier.pool(hidden, frames)[0], torch.cat([mean, deviation]), atol=1e-5)


@pytest.mark.parametrize(("name", "pooling"), [("hubert", "max"), ("hubert", "mean_std"), ("whisper", "mean")])
def test_a_class_of_the_library_refuses_a_checkpoint_that_it_would_answer_otherwise(name, pooling, published, tmp_path):
    classifier, extractor = built(published[name], pooling=pooling_of(pooling))
    checkpoint.save(classifier, extractor, tmp_path / "checkpoint", {})
    assert {"heads.py"} <= {path.name for path in (tmp_path / "checkpoint").iterdir()}
    with pytest.raises(RuntimeError, match="mismatched"):
        AutoModelForAudioClassification.from_pretrained(tmp_path / "checkpoint")


PIPELINES = """
import sys, json, numpy
from transformers import pipeline
answers = {}
for folder in sys.argv[2:]:
    classify = pipeline("audio-classification", model=folder, trust_remote_code=True, top_k=None)
    answers[folder] = {row["label"]: row["score"] for row in classify(numpy.load(sys.argv[1]))}
assert "ser" not in sys.modules
print(json.dumps(answers))
"""


def test_the_librarys_pipeline_gives_the_same_probabilities_for_every_family_and_pooling(published, tmp_path):
    cases = [(name, "mean") for name in PUBLISHED] + [
        ("hubert", "max"),
        ("w2v-bert", "attentive"),
        ("moonshine", "mean_std"),
    ]
    waveform = examples([9000])[0]["samples"]
    np.save(tmp_path / "clip.npy", waveform.astype(np.float32) / 32768)
    ours = {}
    for name, pooling in cases:
        folder = tmp_path / f"{name}-{pooling}"
        classifier, extractor = built(published[name], pooling=pooling_of(pooling), weighted_layer_sum=True)
        checkpoint.save(classifier, extractor, folder, {})
        batch = without_labels(collator_for(extractor)([{"samples": waveform, "label": 0}]))
        with torch.inference_mode():
            ours[str(folder)] = classifier.eval()(**batch).logits.softmax(-1)[0].tolist()
    arguments = [FRESH_PYTHON, "-c", PIPELINES, str(tmp_path / "clip.npy"), *ours]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for folder, answer in json.loads(result.stdout).items():
        assert ours[folder] == pytest.approx([answer[emotion] for emotion in EMOTIONS], abs=1e-5), folder


def test_whisper_on_a_full_window_is_the_librarys_encoder(published):
    from transformers import WhisperForAudioClassification

    classifier, extractor = built(published["whisper"])
    stock = WhisperForAudioClassification.from_pretrained(published["whisper"], num_labels=8).eval()
    features = extractor(
        np.random.default_rng(0).standard_normal(480_000) * 0.1, sampling_rate=16000, return_tensors="pt"
    )
    mask = torch.ones(1, 3000, dtype=torch.long)
    with torch.inference_mode():
        ours = classifier.eval().encode(features["input_features"], mask, torch.tensor([1500]))
        theirs = stock.encoder(features["input_features"]).last_hidden_state
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_whisper_runs_on_the_true_length_of_a_clip(published):
    classifier, extractor = built(published["whisper"])
    batch = collator_for(extractor)(examples())
    assert batch["input_features"].shape == (3, 80, 100)
    assert classifier.frames(batch["attention_mask"].sum(-1)).tolist() == [19, 29, 50]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_has_the_hop_and_the_layers_of_every_family(name, published):
    classifier, extractor = built(published[name])
    family = find_architecture(classifier.config, name)
    freezing.freeze_and_adapt(classifier, model_config(published[name], freeze="encoder"))
    counts = [
        int(classifier.frames(collator_for(extractor)(examples([length]))["attention_mask"].sum(-1)))
        for length in (16000, 16000 + 100 * family.hop)
    ]
    assert counts[1] - counts[0] == 100
    assert [key for key, _ in classifier.named_modules() if f"{key}." == f"{family.layers}0."]


@pytest.mark.parametrize(
    ("name", "freeze", "message"),
    [
        ("w2v-bert", "cnn", "no CNN; choices: encoder"),
        ("hubert", "layers:3", "has 3 layers; choices: layers:0 to layers:2"),
    ],
)
def test_a_part_that_the_encoder_lacks_cannot_be_frozen(name, freeze, message, published):
    classifier, _ = built(published[name])
    with pytest.raises(UserError, match=message):
        freezing.freeze_and_adapt(classifier, model_config(published[name], freeze=freeze))


def test_every_family_of_the_table_is_tested(published):
    tested = {json.loads((folder / "config.json").read_text())["model_type"] for folder in published.values()}
    assert tested == set(ARCHITECTURES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_snapshot_is_written_as_the_weights_themselves_are(name, published, tmp_path):
    classifier, _ = built(published[name])
    classifier.save_pretrained(tmp_path / "weights")
    classifier.save_pretrained(tmp_path / "snapshot", state_dict=snapshot(classifier.state_dict()))
    written = [(tmp_path / kind / "model.safetensors").read_bytes() for kind in ("weights", "snapshot")]
    assert written[0] == written[1]
