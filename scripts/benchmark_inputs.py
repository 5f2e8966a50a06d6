"""What the benchmark runs on: clips, random weights of the real shapes, lists, and how much arithmetic a step is."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from hydra import compose, initialize_config_dir
from transformers import AutoConfig, AutoModelForAudioClassification, Wav2Vec2FeatureExtractor

from ser.acceleration.flops import count_training_flops
from ser.apps import CONFIGS
from ser.corpora import ravdess
from ser.models.architectures import ARCHITECTURES

DEEP = dict(num_attention_heads=16, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("wav2vec2_base", dict(model_type="wav2vec2")),
    "large": (
        "hubert_large",
        dict(model_type="hubert", hidden_size=1024, num_hidden_layers=24, intermediate_size=4096, **DEEP),
    ),
    "1b": (
        "xlsr_1b",
        dict(model_type="wav2vec2", hidden_size=1280, num_hidden_layers=48, intermediate_size=5120, **DEEP),
    ),
    "tiny": (  # for the test of this script
        "wav2vec2_base",
        dict(
            model_type="wav2vec2", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            conv_dim=[8] * 7,
        ),
    ),
}  # fmt: skip
"""The model whose settings are used, and the shape of its random weights."""


MEAN_SECONDS, SMALL_SECONDS = 3.7, 1.0
"""Of a clip of RAVDESS, and of one in a trial of a script."""


def clips_of_our_own(root: Path, number: int, rate: int = 48_000, seconds: float = MEAN_SECONDS) -> Path:
    """Noise under RAVDESS's names and of its lengths: what it sounds like does not change the time.

    Args:
        root: the folder, which is made.
        number: of the clips.
        rate: in hertz.
        seconds: of a clip, on average; less in trials of a script.
    """
    generator, scale = np.random.default_rng(0), seconds / MEAN_SECONDS
    names = [
        f"03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor:02d}"
        for actor in range(1, 25)
        for emotion in ravdess.EMOTION_CODES
        for intensity in (("01",) if emotion == "01" else ("01", "02"))
        for statement in ("01", "02")
        for repetition in ("01", "02")
    ]
    root.mkdir()
    for name in generator.permutation(names)[:number]:
        length = float(np.clip(generator.normal(MEAN_SECONDS, 0.34), 2.9, 5.3)) * scale
        noise = 0.02 * generator.standard_normal(int(rate * length))
        noise[int(rate * scale) : -int(rate * scale)] *= 10  # a quiet second at both ends, as RAVDESS has
        soundfile.write(root / f"{name}.wav", noise, rate, subtype="PCM_16")
    return root


def random_checkpoint(folder: Path, shape: str) -> Path:
    """Random weights in the layout of the hub, with the settings that `ser` gives the model of that shape."""
    name, values = SHAPES[shape]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        settings = dict(compose("train", overrides=[f"model={name}"]).model.encoder_config)
    given = {**settings, **values}
    numbered = dict(enumerate(ravdess.EMOTIONS))
    labels = {"id2label": numbered, "label2id": {label: number for number, label in numbered.items()}}
    config = AutoConfig.for_model(given.pop("model_type"), **given, **labels)
    torch.manual_seed(0)
    AutoModelForAudioClassification.from_config(config).save_pretrained(folder)
    deep = config.feat_extract_norm == "layer"
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=deep).save_pretrained(folder)
    return folder


def divided(root: Path, work: Path, number: int) -> Path:
    """A table of folds that uses `number` clips: fold 1 is evaluated; and the lists for the plain way."""
    rows = ravdess.scan(root).recordings
    chosen = np.random.default_rng(0).permutation(len(rows))[:number]
    folds = {rows[index].path: str(int(place % 3 == 0)) for place, index in enumerate(chosen)}
    with (work / "folds.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "fold"])
        writer.writerows([row.path, folds.get(row.path, "")] for row in rows)
    for fold, side in (("0", "train"), ("1", "test")):
        with (work / f"{side}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "emotion"])
            writer.writerows([row.path, row.emotion] for row in rows if folds.get(row.path) == fold)
    return work


def flops_per_step(shape: str) -> float:
    """Floating-point operations of one optimizer step: 8 clips of 3.7 s, forward and backward, the CNN frozen."""
    given = dict(SHAPES[shape][1])
    config = AutoConfig.for_model(given.pop("model_type"), **given, num_labels=len(ravdess.EMOTIONS))
    with torch.device("meta"):
        model = ARCHITECTURES[config.model_type].classifier(config)
    model.freeze_feature_encoder()
    batch = {"input_values": torch.zeros(8, int(3.7 * 16_000)), "labels": torch.zeros(8, dtype=torch.long)}
    return count_training_flops(model, batch)
