"""The datasets of a run: waveforms, or cached outputs of the frozen part of the encoder."""

import logging
from pathlib import Path

import torch
from transformers import PreTrainedModel

from ser import config
from ser.acceleration import feature_cache, frozen_layers
from ser.acceleration.cached_features import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.frozen_cnn import FrozenCnn, can_cache, is_frozen
from ser.acceleration.frozen_part import FrozenPart
from ser.acceleration.gpu_dataset import Inputs
from ser.data.dataset import WaveformDataset, collator_for
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.training.model import Model

log = logging.getLogger("ser")


def build_datasets(cfg: config.Train, model: Model, prepared: PreparedCorpus, splits: Splits, bf16: bool) -> Inputs:
    """Return the datasets of a run: waveforms, or with `trainer.cache_features` the output of the frozen part.

    The output is computed for the whole corpus, and all folds and seeds read the same file.

    Args:
        cfg: The config of the run.
        model: The result of `ser.training.model.build_model`; its frozen part is removed where it is cached.
        prepared: The corpus.
        splits: The splits of the run's fold.
        bf16: Whether training computes in bfloat16.
    """
    classifier, trim = model.classifier, cfg.audio.trim
    train, split = WaveformDataset(prepared, splits.train, trim), splits.evaluated_split
    evaluated = WaveformDataset(prepared, splits.get(split), trim) if split else None
    if not cfg.trainer.cache_features:
        return Inputs(train, evaluated, collator_for(model.extractor), cfg.augment.changes_clips)
    if reason := not_cached(classifier):
        log.info("trainer.cache_features: nothing is cached, because %s", reason)
        return Inputs(train, evaluated, collator_for(model.extractor))
    everything = WaveformDataset(prepared, prepared.utterances, trim)
    dtype, part = torch.bfloat16 if bf16 else torch.float32, frozen_part(classifier, cfg.trainer.compile)
    folder = Path(cfg.data_dir) / feature_cache.FOLDER
    cache = feature_cache.open_or_compute(classifier, model.extractor, everything, folder, dtype, part)
    part.install(classifier)
    return Inputs(
        CachedFeatureDataset(cache, train),
        CachedFeatureDataset(cache, evaluated) if evaluated else None,
        CachedFeatureCollator(cache),
    )


def not_cached(classifier: PreTrainedModel) -> str:
    """Return the reason why the output of the CNN cannot be cached; empty where it can."""
    if not can_cache(classifier.config):
        return f"{classifier.config.model_type} has no CNN that takes the waveform"
    return "" if is_frozen(classifier) else "model.freeze lets the CNN be trained"


def frozen_part(classifier: PreTrainedModel, compiled: bool) -> FrozenPart:
    """Return the part to cache: the CNN, or the CNN with the frozen layers above it."""
    depth = frozen_layers.count_frozen_layers(classifier)
    if depth == 0:
        return FrozenCnn()
    reason = (
        "trainer.compile makes one graph of all layers"
        if compiled
        else frozen_layers.reason_not_cacheable(classifier.config)
    )
    if reason:
        log.info("trainer.cache_features: the frozen layers are not cached, the CNN is, because %s", reason)
        return FrozenCnn()
    return frozen_layers.FrozenLayers(depth)
