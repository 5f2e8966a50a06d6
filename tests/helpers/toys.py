"""Tiny checkpoints of random weights that answer, and clips to be answered."""

import json

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

from ser.corpora.ravdess import EMOTIONS
from ser.data import manifest
from ser.models.classifiers import Wav2Vec2ForSequenceClassification


def clips(*seconds):
    """Tones of falling pitch, int16 at 16 kHz, of so many seconds."""
    return [
        (9000 * np.sin(2 * np.pi * (400 - 50 * index) * np.arange(int(16000 * length)) / 16000)).astype(np.int16)
        for index, length in enumerate(seconds)
    ]


def as_array(predictions):
    """The probabilities of some predictions, `(clips, emotions)`."""
    return np.array([prediction.as_array() for prediction in predictions])


def saved(folder, labels=EMOTIONS, norm="layer", seed=0, trim=None):
    """A checkpoint folder; with `trim` it is stamped as one that `ser train` wrote."""
    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(20, 16), conv_stride=(20, 16), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer",
        classifier_proj_size=16, initializer_range=0.4, num_labels=len(labels),
        id2label=dict(enumerate(labels)), label2id={label: index for index, label in enumerate(labels)},
    )  # fmt: skip
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=norm == "layer").save_pretrained(folder)
    if trim is not None:
        stamp(folder, audio={"trim": trim}, model="toy", corpus="ravdess", identity={"name": "paper"})
    return folder


def stamp(folder, **values):
    configured(folder, ser=values)


def configured(folder, **values):
    """Change entries of a checkpoint's config.json."""
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **values}))
    return folder


def seal(data_dir):
    """Make a manifest that a test has changed the prepared one."""
    audit = data_dir / "audit.json"
    utterances = manifest.read(data_dir / manifest.FILE)
    audit.write_text(json.dumps({**json.loads(audit.read_text()), "manifest_sha256": manifest.checksum(utterances)}))
