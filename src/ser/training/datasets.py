"""What a run reads while it trains: clips, or what the frozen part of the encoder makes of them."""

import logging
import time
from pathlib import Path

import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor, TrainingArguments

from ser import config
from ser.acceleration import feature_cache, frozen_cnn, frozen_layers
from ser.acceleration.feature_cache import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.gpu_dataset import Inputs
from ser.data.dataset import WaveformDataset, collator_for
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.training.clock import Clock

log = logging.getLogger("ser")


def inputs(
    cfg: config.Train,
    classifier: PreTrainedModel,
    extractor: SequenceFeatureExtractor,
    prepared: PreparedCorpus,
    splits: Splits,
    arguments: TrainingArguments,
    clock: Clock,
) -> Inputs:
    """Read clips from the cache of the corpus, or from that of the frozen part where `trainer.cache_features` asks so.

    The output of that part is computed for the whole corpus: every fold and seed reads the same file. What that takes
    is the phase `features` of the clock.
    """
    train, selection = (
        WaveformDataset(prepared, rows, cfg.audio.trim) for rows in (splits.train, splits.get(splits.selection_split))
    )
    if not cfg.trainer.cache_features:
        return Inputs(train, selection, collator_for(extractor))
    if reason := not_cached(classifier):
        log.info("trainer.cache_features: nothing is cached, because %s", reason)
        return Inputs(train, selection, collator_for(extractor))
    started = time.monotonic()
    everything = WaveformDataset(prepared, prepared.utterances, cfg.audio.trim)
    dtype = torch.bfloat16 if arguments.bf16 else torch.float32
    part = frozen_part(classifier, cfg.trainer.compile)
    cache = feature_cache.open_or_compute(
        classifier, extractor, everything, Path(cfg.data_dir) / feature_cache.FOLDER, dtype, part
    )
    part.install(classifier)
    clock.phases["features"] = time.monotonic() - started
    return Inputs(
        CachedFeatureDataset(cache, train), CachedFeatureDataset(cache, selection), CachedFeatureCollator(cache)
    )


def not_cached(classifier: PreTrainedModel) -> str:
    """Why the CNN of a classifier cannot be computed once and for all, or nothing."""
    if not frozen_cnn.can_cache(classifier.config):
        return f"{classifier.config.model_type} has no CNN that takes the waveform"
    return "" if frozen_cnn.is_frozen(classifier) else "model.freeze lets the CNN be trained"


def frozen_part(classifier: PreTrainedModel, compiled: bool) -> feature_cache.FrozenPart:
    """What is computed once and for all: the CNN, with the frozen layers above it where there are such."""
    depth = frozen_layers.count_frozen_layers(classifier)
    if depth == 0:
        return frozen_cnn
    reason = (
        "trainer.compile makes one graph of all layers"
        if compiled
        else frozen_layers.reason_not_cacheable(classifier.config)
    )
    if reason:
        log.info("trainer.cache_features: the frozen layers are not cached, the CNN is, because %s", reason)
        return frozen_cnn
    return frozen_layers.FrozenLayers(depth)
