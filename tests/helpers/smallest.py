"""The smallest checkpoint of each family: one layer, random weights large enough that answers depend on the clip."""

from dataclasses import replace

import torch
from conftest import composed
from torch import nn

from ser import config
from ser.corpora.ravdess import EMOTIONS
from ser.models import checkpoint

WIDTH = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
CNN = dict(
    conv_dim=[8, 8, 8], conv_kernel=[40, 8, 8], conv_stride=[20, 4, 4], num_feat_extract_layers=3,
    num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
)  # fmt: skip
LAYER = dict(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)

TOYS = {
    "wav2vec2-group": dict(model_type="wav2vec2", **WIDTH, **CNN),
    "wav2vec2-layer": dict(model_type="wav2vec2", **WIDTH, **CNN, **LAYER),
    "hubert": dict(model_type="hubert", **WIDTH, **CNN, **LAYER),
    "wavlm": dict(model_type="wavlm", **WIDTH, **CNN, **LAYER, num_buckets=16, max_bucket_distance=40),
    "data2vec": dict(model_type="data2vec-audio", **WIDTH, **CNN),
    "unispeech-sat": dict(model_type="unispeech-sat", **WIDTH, **CNN, **LAYER),
    "w2v-bert": dict(model_type="wav2vec2-bert", **WIDTH),
    "whisper": dict(
        model_type="whisper", d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, num_mel_bins=80, vocab_size=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    ),
    "moonshine": dict(
        model_type="moonshine", hidden_size=16, intermediate_size=32, encoder_num_hidden_layers=1,
        encoder_num_attention_heads=2, encoder_num_key_value_heads=2,
    ),
}  # fmt: skip
POOLINGS = {"hubert": "max", "w2v-bert": "attentive", "whisper": "mean_std"}
"""Each other pooling once; the rest average."""
WEIGHTED = {"wavlm", "moonshine", "whisper"}
"""Those that pool a weighted sum of their layers."""


def toy(name):
    """A classifier and its preprocessing."""
    torch.manual_seed(0)
    model = replace(
        composed("train", "model=tiny").model,
        encoder_config=TOYS[name],
        pooling=config.Pooling(POOLINGS.get(name, "mean")),
        weighted_layer_sum=name in WEIGHTED,
        classifier_proj_size=8,
    )
    classifier, extractor = checkpoint.build(model, EMOTIONS)
    for key, tensor in classifier.named_parameters():
        if tensor.dim() == 2 or key == "layer_weights":
            nn.init.normal_(tensor, std=0.4)
    return classifier.eval(), extractor


def save(name, folder, stamp):
    classifier, extractor = toy(name)
    checkpoint.save(classifier, extractor, folder, stamp)
    return folder
