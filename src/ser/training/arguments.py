"""Construction and check of the TrainingArguments, before any data or weights are read."""

from copy import deepcopy
from dataclasses import fields
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType  # type: ignore[import-untyped]
from transformers import Trainer, TrainingArguments, get_scheduler

from ser import config, processes
from ser.config import Precision, Tracker
from ser.data.parallel import cores
from ser.errors import UserError, explain, suggest
from ser.evaluation.metrics import COUNT_METRICS
from ser.extras import check_installed
from ser.models.forward import default_device
from ser.training.process_batches import StepShare
from ser.training.tracking import run_name

WORKERS = 4
"""Largest number of processes that augment clips, unless another number is given."""
NOTHING_TRAINED = 1000
"""Steps of the trial schedule; its rates are discarded."""


def build_arguments(cfg: config.Train, folder: Path) -> TrainingArguments:
    """Convert the config of a run to TrainingArguments.

    Raises:
        UserError: TrainingArguments or the optimizer rejects a value, or `trainer.extra_training_args` has a key that
            does not exist or that another key of `ser` sets.
    """
    trainer = cfg.trainer
    if cfg.tracking.name is Tracker.trackio:
        check_installed("trackio", "trackio", needed_by="tracking=trackio")
    if is_unknown_metric(trainer.metric_for_best_model):
        choices = ", ".join(["loss", *COUNT_METRICS])
        raise UserError(f"trainer.metric_for_best_model={trainer.metric_for_best_model}: choices: {choices}")
    ours = fields_by_key(cfg, folder)
    check_extra_args(trainer.extra_training_args, ours)
    values = {name: value for of_key in ours.values() for name, value in of_key.items()}
    try:
        # A copy, because it writes into a dict.
        arguments = TrainingArguments(**values, **loader_fields(cfg), **deepcopy(trainer.extra_training_args))
        try_optimizer(arguments)
    except (ImportError, TypeError, ValueError) as error:
        raise UserError(f"trainer: {explain(error)}") from error
    check_sharding(arguments)
    # With several GPUs the Trainer would use DataParallel, and batches would be larger than in the config.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def check_sharding(arguments: TrainingArguments) -> None:
    """Raise a UserError where FSDP would do nothing, or would write no weights that `ser` reads."""
    if not arguments.fsdp:
        return
    if arguments.distributed_state.distributed_type in (DistributedType.NO, DistributedType.MULTI_CPU):
        raise UserError(
            "trainer.extra_training_args.fsdp: it spreads a model over GPUs; start a process for each, with torchrun"
        )
    kind = arguments.fsdp_plugin_args["state_dict_type"]
    if kind != "FULL_STATE_DICT":
        raise UserError(
            f"trainer.extra_training_args.fsdp_config.state_dict_type={kind}: checkpoints need FULL_STATE_DICT"
        )


def process_timeout(trainer: config.Trainer) -> float:
    """Return the seconds after which another process of the training counts as lost."""
    default = next(field.default for field in fields(TrainingArguments) if field.name == "ddp_timeout")
    return float(trainer.extra_training_args.get("ddp_timeout", default))


def loader_fields(cfg: config.Train) -> dict[str, int]:
    """Return the number of workers that augment clips while a GPU trains; `extra_training_args` may set another."""
    name = "dataloader_num_workers"
    if not cfg.augment.changes_clips or name in cfg.trainer.extra_training_args or default_device().type != "cuda":
        return {}
    if get_all_start_methods()[0] != "fork":  # elsewhere a worker would load the whole model to begin with
        return {}
    return {name: max(1, min(WORKERS, cores() // processes.count_joined()))}


def fields_by_key(cfg: config.Train, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the fields of TrainingArguments that `ser` sets, grouped by the config key that determines them."""
    trainer = cfg.trainer
    known = {field.name for field in fields(TrainingArguments)}
    strategy = trainer.eval_strategy.value
    share = StepShare.from_recipe(trainer, processes.count_joined())
    same_name = {f"trainer.{name}": {name: getattr(trainer, name)} for name in vars(trainer) if name in known}
    values: dict[str, dict[str, Any]] = {
        **same_name,
        "trainer.save_total_limit": {"save_total_limit": None},  # would remove checkpoints that are still needed
        "trainer.eval_strategy": dict.fromkeys(("eval_strategy", "save_strategy", "logging_strategy"), strategy),
        "trainer.metric_for_best_model": {
            "metric_for_best_model": trainer.metric_for_best_model,
            "greater_is_better": greater_is_better(trainer.metric_for_best_model),
        },
        "trainer.label_smoothing": {"label_smoothing_factor": 0.0},  # would smooth the evaluation loss too
        "trainer.precision": mixed_precision(trainer.precision),
        "trainer.compile": {"torch_compile": False},
        "trainer.per_device_train_batch_size": {
            "per_device_train_batch_size": share.size,
            "auto_find_batch_size": False,  # would change the batch size of the config
        },
        "trainer.gradient_accumulation_steps": {"gradient_accumulation_steps": share.forwards},
        "model.gradient_checkpointing": {"gradient_checkpointing": False, "activation_checkpointing": False},
        "output_dir": {"output_dir": str(folder)},
        "seed": {"seed": cfg.seed, "data_seed": cfg.seed},
        "resume": {"resume_from_checkpoint": None, "restore_callback_states_from_checkpoint": True},
        "tracking": tracker_fields(cfg),
        "hub.push": {"push_to_hub": False},
        "": fixed_fields(),
    }
    return {key: {name: value for name, value in of_key.items() if name in known} for key, of_key in values.items()}


def tracker_fields(cfg: config.Train) -> dict[str, Any]:
    """Return the fields for the tracker, its project and its run; `ser.training.tracking` opens wandb itself."""
    tracker = cfg.tracking.name
    if tracker is not Tracker.trackio:
        return {"report_to": [] if tracker is Tracker.none else [tracker.value]}
    # Only on this machine: no Space is created, neither for the run nor with a push.
    local = {"trackio_space_id": None, "trackio_static_space_id": False}
    return {
        "report_to": [tracker.value],
        "project": cfg.tracking.project,
        "run_name": run_name(cfg.output_dir),
        **local,
    }


def fixed_fields() -> dict[str, Any]:
    """Return the fields of TrainingArguments that the code of `ser` depends on; no config key sets them."""
    return {
        "load_best_model_at_end": False,  # `ser.training.best` loads and checks the best checkpoint
        "label_names": ["labels"],
        "remove_unused_columns": False,
        "prediction_loss_only": False,
        "batch_eval_metrics": False,
        "use_cpu": default_device().type == "cpu",  # without it the Trainer rejects bf16 on a CPU
        "disable_tqdm": True,  # `ser` shows its own progress bar
        "log_level_replica": "error",  # of further processes; that of the first is set by `console`
        "logging_nan_inf_filter": False,  # two host syncs for each micro-batch
        # With a GPU, batches are in pinned memory and are copied asynchronously.
        "accelerator_config": {"non_blocking": default_device().type == "cuda"},
    }


def check_extra_args(given: dict[str, Any], ours: dict[str, dict[str, Any]]) -> None:
    """Raise a UserError for an extra training argument that another key sets, or that does not exist."""
    keys = {name: key for key, of_key in ours.items() for name in of_key}
    known = {field.name for field in fields(TrainingArguments)}
    for name in given:
        if name.startswith("hub_") or name == "push_to_hub":
            # One of these fields is a token, which would be written to config.yaml.
            raise UserError(f"trainer.extra_training_args.{name}: give hub.push=true and hub.repo=USER/NAME instead")
        if keys.get(name):
            raise UserError(f"trainer.extra_training_args.{name}: give {keys[name]} instead")
        if name in keys:
            raise UserError(
                f"trainer.extra_training_args.{name}: training depends on {name}={ours[''][name]}; remove it"
            )
        if name not in known:
            raise UserError(
                f"trainer.extra_training_args.{name}: TrainingArguments has no such field{suggest(name, known)}"
            )


def try_optimizer(arguments: TrainingArguments) -> None:
    """Build the optimizer and its schedule for one parameter, to raise their errors before any data are read."""
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)  # some need an extra package
    if kind.__module__.startswith("torch.optim"):  # others may need a GPU, or the layers of a model
        optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **settings)
        options = arguments.lr_scheduler_kwargs or {}
        get_scheduler(arguments.lr_scheduler_type, optimizer, 0, NOTHING_TRAINED, scheduler_specific_kwargs=options)


def greater_is_better(metric: str) -> bool:
    return metric != "loss" and COUNT_METRICS[metric].greater_is_better


def is_unknown_metric(name: str) -> bool:
    return name != "loss" and name not in COUNT_METRICS


def mixed_precision(precision: Precision) -> dict[str, bool]:
    """Return the fields of TrainingArguments for a precision.

    Raises:
        UserError: The device does not support the precision.
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
    """Return bf16 where the device supports it (Ampere or later, AVX512-BF16, AMX), fp16 on older GPUs, else fp32."""
    if torch.cuda.is_available():
        # T4 and V100 only emulate bf16, slowly, so the hardware generation is checked.
        return Precision.bf16 if torch.cuda.get_device_capability() >= (8, 0) else Precision.fp16
    cpu = torch.backends.cpu.get_cpu_capability()
    flags = read_cpu_flags()
    return Precision.bf16 if "AVX512" in cpu and "avx512_bf16" in flags else Precision.fp32


def read_cpu_flags() -> str:
    """Return the flags of the processor; empty on systems other than Linux, which do not list them."""
    listing = Path("/proc/cpuinfo")
    return listing.read_text(encoding="utf-8") if listing.is_file() else ""
