"""Tiny classifiers of every architecture, their settings and their inputs."""

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import HubertConfig, HubertForCTC, Wav2Vec2FeatureExtractor

from ser import config
from ser.corpora.ravdess import EMOTIONS
from ser.models import checkpoint

SHAPE = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    conv_dim=(16,) * 7,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=2,
    num_labels=8,
    classifier_proj_size=16,
)


BACKBONE = {key: value for key, value in SHAPE.items() if key not in ("num_labels", "classifier_proj_size")}
LAYER_NORM = dict(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)


def model_config(pretrained, **settings):
    values = dict(
        name="toy", pretrained=str(pretrained) if pretrained else None, freeze="cnn", weighted_layer_sum=False,
        classifier_proj_size=16, pooling=config.Pooling.mean, lora_rank=None, lora_alpha=16, lora_dropout=0.0,
        gradient_checkpointing=False, encoder_config={},
    )  # fmt: skip
    return config.Model(**{**values, **settings})


def publish_ctc(folder):
    """A speech recogniser in the hub's layout: encoder and CTC head, float16, as large ones are often stored."""
    torch.manual_seed(0)
    model = HubertForCTC(HubertConfig(**BACKBONE, **LAYER_NORM, vocab_size=32, layerdrop=0.3)).half()
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)
    return folder


def remove_tensors(folder, part):
    """Remove the tensors with a part of a name from the weights of a folder."""
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if part not in name}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


BATCH_DEPENDENT = ("wav2vec2-base", "data2vec", "moonshine")


LENGTHS = [6000, 9000, 16000]


def built(folder, **settings):
    torch.manual_seed(1)
    if folder.name == "xls-r-turkish":  # what it brings is random, and is set aside as a run would set it aside
        settings["encoder_config"] = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    return checkpoint.build(model_config(folder, **settings), EMOTIONS)


def examples(lengths=LENGTHS):
    generator = np.random.default_rng(0)
    return [
        {"samples": (generator.standard_normal(length) * 3000).astype(np.int16), "label": index}
        for index, length in enumerate(lengths)
    ]


def without_labels(batch):
    return {key: tensor for key, tensor in batch.items() if key != "labels"}


def loss_and_gradients(classifier, batch):
    classifier.zero_grad()
    torch.manual_seed(3)
    loss = classifier(**batch).loss
    loss.backward()
    return loss.detach(), {key: p.grad.clone() for key, p in classifier.named_parameters() if p.grad is not None}
