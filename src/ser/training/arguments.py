"""The Trainer's arguments, made and checked before any data or weight is touched."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from ser import config
from ser.config import Precision, Tracker
from ser.errors import UserError
from ser.models.inference import device
from ser.results.metrics import SUMMARY

OWN = (
    "head_learning_rate",
    "early_stopping_patience",
    "class_weights",
    "balanced_sampling",
    "bucket_by_length",
    "cache_features",
    "resident",
    "compile",
    "attention",
    "quick_dropout",
    "focal_gamma",
    "label_smoothing",
    "precision",
    "save_total_limit",
    "save_optimizer_every",
    "background_checkpoints",
    "hf",
)
"""Keys of `config.Trainer` that are not given to TrainingArguments."""
INSTEAD = {
    "label_smoothing_factor": "label_smoothing",  # would smooth the evaluation loss too, beside a smoothing of ours
    "save_total_limit": "save_total_limit",  # would remove checkpoints that are still needed
}
"""Fields of TrainingArguments that a key of ours replaces."""


def training_arguments(cfg: config.Train, folder: Path) -> TrainingArguments:
    """Translate a run's config.

    Raises:
        UserError: a value that TrainingArguments refuses, or a key of `trainer.hf` that it lacks.
    """
    trainer = cfg.trainer
    known = {field.name for field in fields(TrainingArguments)}
    given = {field.name: getattr(trainer, field.name) for field in fields(trainer) if field.name not in OWN}
    if theirs := [key for key in trainer.hf if key == "push_to_hub" or key.startswith("hub_")]:
        # A token among them would be written to config.yaml.
        raise UserError(f"trainer.hf.{theirs[0]}: give hub.push=true and hub.repo=USER/NAME instead")
    for key, ours in INSTEAD.items():
        if key in trainer.hf:
            raise UserError(f"trainer.hf.{key}: give trainer.{ours} instead")
    if unknown := sorted(set(trainer.hf) - known):
        raise UserError(f"trainer.hf.{unknown[0]}: TrainingArguments has no such field")
    if metric_unknown(trainer.metric_for_best_model):
        choices = ", ".join(["loss", *SUMMARY])
        raise UserError(f"trainer.metric_for_best_model={trainer.metric_for_best_model}: choices: {choices}")
    strategy = trainer.eval_strategy.value
    values: dict[str, Any] = {
        **given,
        "eval_strategy": strategy,
        "save_strategy": strategy,
        "logging_strategy": strategy,
        "greater_is_better": trainer.metric_for_best_model != "loss",
        "load_best_model_at_end": True,
        "output_dir": str(folder),
        "seed": cfg.seed,
        "data_seed": cfg.seed,
        "label_names": ["labels"],
        "remove_unused_columns": False,
        "use_cpu": device().type == "cpu",  # the Trainer refuses bf16 on a CPU that it was not told of
        "report_to": [] if cfg.tracking.name is Tracker.none else [cfg.tracking.name.value],
        "disable_tqdm": True,  # our own bar
        "logging_nan_inf_filter": False,  # two host syncs for each micro-batch
        # Batches lie in pinned memory where there is a GPU: to copy one there need not be waited for.
        "accelerator_config": {"non_blocking": device().type == "cuda"},
        **mixed_precision(trainer.precision),
        **trainer.hf,
    }
    try:
        arguments = TrainingArguments(**values)
        Trainer.get_optimizer_cls_and_kwargs(arguments)  # some optimizers need a package of their own
    except (ImportError, TypeError, ValueError) as error:
        raise UserError(f"trainer: {error}") from error
    return arguments


def metric_unknown(name: str) -> bool:
    return name != "loss" and name not in SUMMARY


def mixed_precision(precision: Precision) -> dict[str, bool]:
    """The Trainer's switches for a precision.

    Raises:
        UserError: the device lacks what was asked for.
    """
    best = best_precision()
    if precision is Precision.auto:
        precision = best
    if precision is Precision.fp16 and not torch.cuda.is_available():
        raise UserError("trainer.precision=fp16: only a CUDA device computes in fp16; choices here: auto, bf16, fp32")
    if precision is Precision.bf16 and torch.cuda.is_available() and best is not Precision.bf16:
        raise UserError("trainer.precision=bf16: this GPU has no bf16; choices here: auto, fp16, fp32")
    return {"bf16": precision is Precision.bf16, "fp16": precision is Precision.fp16}


def best_precision() -> Precision:
    """bf16 where the device computes in it (Ampere and later, AVX512-BF16, AMX), fp16 on an older GPU, else fp32."""
    if torch.cuda.is_available():
        # The first T4s and V100s emulate bf16, slowly: ask for the hardware.
        return Precision.bf16 if torch.cuda.get_device_capability() >= (8, 0) else Precision.fp16
    cpu = torch.backends.cpu.get_cpu_capability()
    flags = cpu_flags()
    return Precision.bf16 if "AVX512" in cpu and "avx512_bf16" in flags else Precision.fp32


def cpu_flags() -> str:
    """The processor's own list of abilities, where the system gives one (Linux)."""
    listing = Path("/proc/cpuinfo")
    return listing.read_text(encoding="utf-8") if listing.is_file() else ""
