"""What a run reads while it trains: clips, or what the frozen part of the encoder makes of them."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor, TrainingArguments

from ser import config
from ser.data import features
from ser.data.batches import Clips, Collator, FeatureCollator, collator_for
from ser.data.features import FeatureClips, FrameCollator
from ser.data.prepared import Prepared
from ser.data.protocols import Split
from ser.models import frontend, prefix
from ser.training.clock import Clock

log = logging.getLogger("ser")


@dataclass(frozen=True)
class Inputs:
    """The lists of a run and what makes batches of them."""

    train: Clips | FeatureClips
    chosen_on: Clips | FeatureClips
    collator: Collator | FeatureCollator | FrameCollator


def inputs(
    cfg: config.Train,
    classifier: PreTrainedModel,
    extractor: SequenceFeatureExtractor,
    prepared: Prepared,
    lists: Split,
    arguments: TrainingArguments,
    clock: Clock,
) -> Inputs:
    """Read clips from the cache of the corpus, or from that of the frozen part where `trainer.cache_features` asks so.

    The output of that part is computed for the whole corpus: every fold and seed reads the same file. What that takes
    is the phase `features` of the clock.
    """
    train, chosen_on = (Clips(prepared, rows, cfg.audio.trim) for rows in (lists.train, lists.side(lists.chosen_on)))
    if not cfg.trainer.cache_features:
        return Inputs(train, chosen_on, collator_for(extractor))
    if reason := not_cached(classifier):
        log.info("trainer.cache_features: nothing is cached, because %s", reason)
        return Inputs(train, chosen_on, collator_for(extractor))
    started = time.monotonic()
    everything = Clips(prepared, prepared.utterances, cfg.audio.trim)
    dtype = torch.bfloat16 if arguments.bf16 else torch.float32
    part = frozen_part(classifier)
    with arguments.main_process_first(desc="features"):  # the other processes find the file
        cache = features.build(classifier, extractor, everything, Path(cfg.data_dir) / features.FOLDER, dtype, part)
    part.install(classifier)
    clock.phases["features"] = time.monotonic() - started
    return Inputs(FeatureClips(cache, train), FeatureClips(cache, chosen_on), FrameCollator(cache))


def not_cached(classifier: PreTrainedModel) -> str:
    """Why the CNN of a classifier cannot be computed once and for all, or nothing."""
    if not frontend.can_cache(classifier.config):
        return f"{classifier.config.model_type} has no CNN that takes the waveform"
    return "" if frontend.is_frozen(classifier) else "model.freeze lets the CNN be trained"


def frozen_part(classifier: PreTrainedModel) -> features.Part:
    """What is computed once and for all: the CNN, with the frozen layers above it where there are such."""
    depth = prefix.frozen_layers(classifier)
    if depth == 0:
        return frontend
    if reason := prefix.obstacle(classifier.config):
        log.info("trainer.cache_features: the frozen layers are not cached, the CNN is, because %s", reason)
        return frontend
    return prefix.Layers(depth)
