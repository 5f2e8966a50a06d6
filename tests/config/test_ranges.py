import pytest
from conftest import composed

from ser.config.ranges import Range
from ser.errors import UserError

POSITIVE = (
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "eval_steps",
    "save_steps", "logging_steps", "early_stopping_patience",
)  # fmt: skip


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -2])
def test_what_is_counted_is_counted_from_one(name, value):
    with pytest.raises(UserError, match=rf"^trainer\.{name}={value}: it must be at least 1$"):
        composed("train", f"trainer.{name}={value}")


@pytest.mark.parametrize(
    "name", ["learning_rate", "head_learning_rate", "warmup_steps", "weight_decay", "max_grad_norm"]
)
@pytest.mark.parametrize("value", ["-1.0", "nan", "inf"])
def test_a_rate_is_a_finite_number_from_zero(name, value):
    with pytest.raises(UserError, match=rf"^trainer\.{name}={value}: it must be at least 0$"):
        composed("train", f"trainer.{name}={value}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.num_train_epochs=0", r"trainer\.num_train_epochs=0\.0: it must be above 0"),
        ("trainer.num_train_epochs=-1", r"trainer\.num_train_epochs=-1\.0: it must be above 0"),
        ("trainer.max_steps=0", r"trainer\.max_steps=0: it must be at least 1, or -1"),
        ("trainer.max_steps=-2", r"trainer\.max_steps=-2: it must be at least 1, or -1"),
        ("trainer.save_total_limit=-1", r"trainer\.save_total_limit=-1: it must be at least 0"),
        ("trainer.label_smoothing=1", r"trainer\.label_smoothing=1\.0: it must be at least 0 and below 1"),
        ("trainer.label_smoothing=-0.1", r"trainer\.label_smoothing=-0\.1: it must be at least 0 and below 1"),
        ("trainer.focal_gamma=nan", r"trainer\.focal_gamma=nan: it must be at least 0"),
        ("seed=-1", r"seed=-1: it must be at least 0 and at most 4294967295"),
        ("seed=5000000000", r"seed=5000000000: it must be at least 0 and at most 4294967295"),
        ("seeds=[0,-3]", r"seeds=\[0, -3\]: it must be at least 0"),
        ("model.classifier_proj_size=0", r"model\.classifier_proj_size=0: it must be at least 1"),
        ("model.lora_rank=0", r"model\.lora_rank=0: it must be at least 1"),
        ("model.lora_alpha=0", r"model\.lora_alpha=0\.0: it must be above 0"),
        ("model.lora_dropout=1", r"model\.lora_dropout=1\.0: it must be at least 0 and below 1"),
        (
            "model=tiny model.encoder_config.hidden_dropout=1.5",
            r"model\.encoder_config\.hidden_dropout=1\.5: it must be at least 0",
        ),
        (
            "model=tiny model.encoder_config.mask_time_prob=-0.1",
            r"model\.encoder_config\.mask_time_prob=-0\.1: it must be at least 0",
        ),
        ("model=tiny model.encoder_config.hidden_size=0", r"model\.encoder_config\.hidden_size=0: it must be above 0"),
        (
            "model=tiny model.encoder_config.conv_dim=[64,0]",
            r"model\.encoder_config\.conv_dim=\[64, 0\]: it must be above 0",
        ),
        ("model=tiny model.encoder_config.initializer_range=nan", r"initializer_range=nan: it must be a finite number"),
    ],
)
def test_a_number_outside_of_its_range_is_refused_with_the_range(override, message):
    with pytest.raises(UserError, match=f"^{message}" if not message.startswith("init") else message):
        composed("train", *override.split(" "))


@pytest.mark.parametrize(
    "override",
    ["seed=4294967295", "trainer.max_steps=-1", "trainer.learning_rate=0", "trainer.warmup_steps=0.1",
     "trainer.early_stopping_patience=null", "model.lora_rank=null", "trainer.num_train_epochs=0.5"],
)  # fmt: skip
def test_the_ends_of_a_range_belong_to_it(override):
    composed("train", override)


@pytest.mark.parametrize("freeze", ["encoder", "layers:2"])
def test_lora_beside_a_frozen_part_is_refused(freeze):
    with pytest.raises(UserError, match=f"model.freeze={freeze} and model.lora_rank=2"):
        composed("train", f"model.freeze={freeze}", "model.lora_rank=2")


def test_a_range_without_bounds_holds_finite_numbers():
    assert [Range().holds(value) for value in (-1e9, float("inf"), float("nan"))] == [True, False, False]
