import pytest

from ser import apps
from ser.cli import COMMANDS
from ser.errors import UserError


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_a_command_names_each_of_its_keys(command):
    shown = apps.help_text(command, COMMANDS[command], [])
    assert COMMANDS[command] in shown
    for field in apps.SCHEMAS[command.replace("-", "_")].__dataclass_fields__:
        assert f"  {field}=" in shown or f"  {field}." in shown


def test_the_help_shows_the_values_that_the_command_line_gives():
    shown = apps.help_text("train", "", ["model=hubert_large", "trainer.learning_rate=3e-5"])
    assert "model.pretrained=facebook/hubert-large-ls960-ft" in shown
    assert "trainer.learning_rate=3e-05" in shown
    assert "model.pooling=mean  (mean | max | mean_std | attentive)" in shown


def test_the_help_lists_the_groups_and_their_files_but_no_bases():
    shown = apps.help_text("train", "", [])
    assert "protocol=actors_kfold" in shown
    assert "model=any" in shown
    assert " _" not in shown


def test_a_value_that_must_be_given_is_shown_as_missing():
    assert "checkpoint=???" in apps.help_text("predict", "", [])


def test_the_help_of_a_part_has_its_keys_alone():
    shown = apps.help_text("train", "", ["experiment=laptop", "augment."])
    keys = [line.strip().partition("=")[0] for line in shown.splitlines() if line.startswith("  ") and line[2] != " "]
    assert "augment.noise_snr" in keys
    assert all(key.startswith("augment.") for key in keys)
    with pytest.raises(UserError, match="--help nonsense: no key of `ser train` has such a name; --help shows all"):
        apps.help_text("train", "", ["nonsense"])
