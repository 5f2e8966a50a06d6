from pathlib import Path

import pytest
from conftest import composed

from ser.cli import CONFIGS
from ser.config import Interval

OPTIONS = sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in Path(CONFIGS).rglob("*/*.yaml"))
COMMANDS = sorted(path.stem for path in Path(CONFIGS).glob("*.yaml"))


def test_every_known_config_is_found():
    assert {"evaluate", "prepare_data", "train"} <= set(COMMANDS)
    assert {
        "corpus/ravdess",
        "corpus/synthetic",
        "experiment/laptop",
        "model/hubert_large",
        "model/moonshine_tiny",
        "model/tiny",
        "model/wav2vec2_base",
        "model/xlsr_1b",
        "model/xlsr_300m",
        "protocol/emobox",
        "protocol/paper",
        "tracking/none",
        "tracking/tensorboard",
        "tracking/wandb",
        "trainer/paper",
    } <= set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_a_valid_training_config(option):
    group, name = option.split("/")
    needed = ["model.pretrained=organisation/name"] if option == "model/any" else []
    assert composed("train", f"{group}={name}", *needed)


@pytest.mark.parametrize("path", sorted(Path(CONFIGS).rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_opens_with_the_command_that_uses_it(path):
    lines = path.read_text().splitlines()
    assert any(line.startswith("# ser ") for line in lines[:2])


def test_the_default_is_table_ii_of_the_paper():
    trainer = composed("train").trainer
    assert trainer.per_device_train_batch_size == 4
    assert trainer.per_device_eval_batch_size == 4
    assert trainer.gradient_accumulation_steps == 2
    assert trainer.eval_strategy is Interval.steps
    assert trainer.num_train_epochs == 10
    assert trainer.save_steps == trainer.eval_steps == trainer.logging_steps == 100
    assert trainer.learning_rate == 1e-4
    assert trainer.save_total_limit == 2
