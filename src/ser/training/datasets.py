"""What a run reads while it trains: clips, or what the frozen part of the encoder makes of them."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor, TrainingArguments

from ser import config
from ser.acceleration import feature_cache, frozen_cnn, frozen_layers
from ser.acceleration.feature_cache import CachedFeatureCollator, CachedFeatureDataset
from ser.acceleration.gpu_dataset import (
    GpuCollator,
    GpuDataset,
    GpuFeatureCollator,
    Store,
    stored_audio,
    stored_frames,
)
from ser.data.dataset import ExtractorCollator, WaveformCollator, WaveformDataset, collator_for
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.training.clock import Clock

log = logging.getLogger("ser")

SHARE = 0.25
"""Of the free memory of a GPU, at most, for the clips of a run: weights, optimizer and activations want the rest."""


@dataclass(frozen=True)
class Inputs:
    """The datasets of a run and what makes batches of them."""

    train: WaveformDataset | CachedFeatureDataset | GpuDataset
    selection_split: WaveformDataset | CachedFeatureDataset | GpuDataset
    collator: WaveformCollator | ExtractorCollator | CachedFeatureCollator | GpuCollator | GpuFeatureCollator


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
    cache = feature_cache.build(
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


def frozen_part(classifier: PreTrainedModel, compiled: bool) -> feature_cache.Part:
    """What is computed once and for all: the CNN, with the frozen layers above it where there are such."""
    depth = frozen_layers.frozen_layers(classifier)
    if depth == 0:
        return frozen_cnn
    reason = "trainer.compile makes one graph of all layers" if compiled else frozen_layers.obstacle(classifier.config)
    if reason:
        log.info("trainer.cache_features: the frozen layers are not cached, the CNN is, because %s", reason)
        return frozen_cnn
    return frozen_layers.Layers(depth)


def on_gpu(read: Inputs, arguments: TrainingArguments) -> Inputs:
    """The same from the GPU, for `trainer.dataset_on_gpu`, where the clips can lie there; the log says why not."""
    if reason := not_resident(read.collator, arguments):
        log.info("trainer.dataset_on_gpu: clips are read from the memory map, because %s", reason)
        return read
    store = stored(read)
    if not fits(store, arguments.device):
        return read
    # Batches are made there: nothing is pinned or copied.
    arguments.dataloader_pin_memory = arguments.accelerator_config.non_blocking = False
    return resident(read, store.to(arguments.device))


def not_resident(collator: Any, arguments: TrainingArguments) -> str:
    """Why the clips of a run cannot lie on the device that trains, however few they are, or nothing."""
    if arguments.device.type != "cuda":
        return "there is no GPU"
    if isinstance(collator, ExtractorCollator):
        return "the features of this encoder are made of them on the CPU"
    if arguments.dataloader_num_workers:
        return "trainer.extra_training_args.dataloader_num_workers makes batches in other processes"
    return ""


def fits(store: Store, device: torch.device) -> bool:
    """Whether a GPU has room for the clips; the log says so, or how much is missing."""
    taken, (free, _) = store.rows.nbytes, torch.cuda.mem_get_info(device)
    room = taken <= SHARE * free
    where = "lie on the GPU" if room else "are read from the memory map, because they may have a quarter of it"
    log.info(
        "trainer.dataset_on_gpu: clips take %.2f GB, %.2f GB of the GPU are free: they %s",
        taken / 1e9,
        free / 1e9,
        where,
    )
    return room


def stored(read: Inputs) -> Store:
    """The clips of both datasets, or their frames, one after the other."""
    datasets: Any = (read.train, read.selection_split)
    return (
        stored_frames(datasets, read.collator.cache)
        if isinstance(read.collator, CachedFeatureCollator)
        else stored_audio(datasets)
    )


def resident(read: Inputs, store: Store) -> Inputs:
    """The same datasets and batches, of the clips in a store."""
    datasets: Any = (read.train, read.selection_split)
    collator = (
        GpuCollator(store, read.collator.do_normalize)
        if isinstance(read.collator, WaveformCollator)
        else GpuFeatureCollator(store)
    )
    return Inputs(GpuDataset(datasets[0], 0), GpuDataset(datasets[1], len(datasets[0])), collator)
