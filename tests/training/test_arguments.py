import importlib.util

import pytest
import torch
from conftest import composed
from transformers import TrainingArguments

from ser.errors import UserError
from ser.training.arguments import build_arguments, fields_by_key


def arguments(tmp_path, *overrides):
    return build_arguments(composed("train", "tracking=none", *overrides), tmp_path)


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("trainer.num_train_epochs=3", "num_train_epochs", 3),
        ("trainer.max_steps=7", "max_steps", 7),
        ("trainer.per_device_train_batch_size=2", "per_device_train_batch_size", 2),
        ("trainer.per_device_eval_batch_size=3", "per_device_eval_batch_size", 3),
        ("trainer.gradient_accumulation_steps=5", "gradient_accumulation_steps", 5),
        ("trainer.learning_rate=0.5", "learning_rate", 0.5),
        ("trainer.lr_scheduler_type=cosine", "lr_scheduler_type", "cosine"),
        ("trainer.warmup_steps=0.25", "warmup_steps", 0.25),
        ("trainer.weight_decay=0.5", "weight_decay", 0.5),
        ("trainer.max_grad_norm=0.5", "max_grad_norm", 0.5),
        ("trainer.optim=adamw_torch", "optim", "adamw_torch"),
        ("trainer.eval_strategy=epoch", "save_strategy", "epoch"),
        ("trainer.eval_steps=50", "eval_steps", 50),
        ("trainer.save_steps=200", "save_steps", 200),
        ("trainer.logging_steps=50", "logging_steps", 50),
        ("trainer.metric_for_best_model=accuracy", "metric_for_best_model", "accuracy"),
        ("trainer.metric_for_best_model=accuracy", "greater_is_better", True),
        ("trainer.metric_for_best_model=loss", "greater_is_better", False),
        ("trainer.precision=fp32", "bf16", False),
        ("trainer.precision=bf16", "bf16", True),
        ("+trainer.extra_training_args.adam_beta2=0.5", "adam_beta2", 0.5),
        ("seed=7", "seed", 7),
        ("seed=7", "data_seed", 7),
    ],
)
def test_a_key_of_the_config_reaches_the_trainer(override, field, value, tmp_path):
    assert getattr(arguments(tmp_path, override), field) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "+trainer.extra_training_args.adam_beta3=0.5",
            r"trainer\.extra_training_args\.adam_beta3: TrainingArguments has no such field",
        ),
        (
            "+trainer.extra_training_args.label_smoothing_factor=0.1",
            r"label_smoothing_factor: give trainer\.label_smoothing instead",
        ),
        (
            "+trainer.extra_training_args.save_total_limit=1",
            r"extra_training_args\.save_total_limit: give trainer\.save_total_limit instead",
        ),
        (
            "+trainer.extra_training_args.learning_rate=1",
            r"extra_training_args\.learning_rate: give trainer\.learning_rate instead",
        ),
        ("+trainer.extra_training_args.seed=5", r"extra_training_args\.seed: give seed instead"),
        ("+trainer.extra_training_args.data_seed=5", r"extra_training_args\.data_seed: give seed instead"),
        (
            "+trainer.extra_training_args.output_dir=/elsewhere",
            r"extra_training_args\.output_dir: give output_dir instead",
        ),
        ("+trainer.extra_training_args.fp16=true", r"extra_training_args\.fp16: give trainer\.precision instead"),
        (
            "+trainer.extra_training_args.save_strategy=no",
            r"extra_training_args\.save_strategy: give trainer\.eval_strategy instead",
        ),
        (
            "+trainer.extra_training_args.greater_is_better=true",
            r"extra_training_args\.greater_is_better: give trainer\.metric_for_best_model instead",
        ),
        ("+trainer.extra_training_args.gradient_checkpointing=true", r"give model\.gradient_checkpointing instead"),
        (
            "+trainer.extra_training_args.auto_find_batch_size=true",
            r"give trainer\.per_device_train_batch_size instead",
        ),
        ("+trainer.extra_training_args.report_to=[wandb]", r"extra_training_args\.report_to: give tracking instead"),
        (
            "+trainer.extra_training_args.load_best_model_at_end=false",
            r"training depends on load_best_model_at_end=False; remove it",
        ),
        ("+trainer.extra_training_args.adam_beta1=2", "Invalid beta parameter"),
        ("trainer.lr_scheduler_type=cosine_with_min_lr", "min_lr"),
        ("trainer.lr_scheduler_type=zigzag", "zigzag"),
        ("trainer.optim=nonsense", "nonsense"),
        ("trainer.metric_for_best_model=f2", "choices: loss, accuracy, unweighted_average_recall, macro_f1"),
    ],
)
def test_a_value_that_the_trainer_refuses_is_one_line(override, message, tmp_path):
    with pytest.raises(UserError, match=message):
        arguments(tmp_path, override)


def test_every_field_that_a_key_of_ours_decides_is_refused_under_hf(tmp_path):
    cfg = composed("train", "tracking=none")
    names = [name for of_key in fields_by_key(cfg, tmp_path).values() for name in of_key]
    assert {"eval_steps", "num_train_epochs", "bf16", "label_names"} <= set(names)
    for name in names:
        cfg.trainer.extra_training_args = {
            name: getattr(build_arguments(composed("train", "tracking=none"), tmp_path), name)
        }
        with pytest.raises(UserError, match=rf"^trainer\.extra_training_args\.{name}: "):
            build_arguments(cfg, tmp_path)


def test_of_two_visible_gpus_one_trains_with_the_batch_size_of_the_config(tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: vars(self).get("_n_gpu", 2)))
    monkeypatch.setattr(TrainingArguments, "_setup_devices", torch.device("cpu"))
    found = arguments(tmp_path, "trainer.precision=fp32", "trainer.per_device_train_batch_size=4")
    assert found.n_gpu == 1
    assert found.train_batch_size == 4


def test_an_optimizer_with_a_missing_package_is_refused_before_anything_is_loaded(tmp_path):
    if importlib.util.find_spec("torchao"):
        pytest.skip("torchao is installed here")
    with pytest.raises(UserError, match="pip install torchao"):
        arguments(tmp_path, "trainer.optim=adamw_torch_8bit")


def test_fp16_without_a_gpu_is_refused_with_the_choices(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match="choices here: auto, bf16, fp32"):
        arguments(tmp_path, "trainer.precision=fp16")


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_t4_trains_in_fp16_and_what_came_after_in_bf16(capability, precision, monkeypatch):
    import torch

    from ser.training import arguments as module

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert module.best_precision().value == precision


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_batch_is_copied_to_a_gpu_while_the_host_goes_on(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("ser.training.arguments.default_device", lambda: torch.device(kind))
    found = arguments(tmp_path, "trainer.precision=fp32")
    assert found.accelerator_config.non_blocking == (kind == "cuda")
    assert not found.logging_nan_inf_filter


@pytest.mark.parametrize(
    ("kind", "cores", "overrides", "workers"),
    [
        ("cuda", 16, ["augment=light"], 4),
        ("cuda", 3, ["augment=light"], 3),
        ("cuda", 16, ["augment=light", "+trainer.extra_training_args.dataloader_num_workers=0"], 0),
        ("cuda", 16, ["augment=light", "+trainer.extra_training_args.dataloader_num_workers=7"], 7),
        ("cuda", 16, ["augment=none"], 0),
        ("cpu", 16, ["augment=light"], 0),
    ],
)
def test_workers_augment_while_a_gpu_trains(kind, cores, overrides, workers, tmp_path, monkeypatch):
    monkeypatch.setattr("ser.training.arguments.default_device", lambda: torch.device(kind))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert arguments(tmp_path, "trainer.precision=fp32", *overrides).dataloader_num_workers == workers


def test_without_forked_processes_no_worker_is_started_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr("ser.training.arguments.default_device", lambda: torch.device("cuda"))
    monkeypatch.setattr("ser.training.arguments.get_all_start_methods", lambda: ["spawn"])
    assert arguments(tmp_path, "trainer.precision=fp32", "augment=light").dataloader_num_workers == 0
