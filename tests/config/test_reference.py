import pytest

from ser import config
from ser.apps import SCHEMAS
from ser.config.reference import keys, type_name


def test_a_key_has_its_type_and_the_docstring_of_its_field():
    found = {key.name: key for key in keys(config.Train)}
    assert found["trainer.learning_rate"].type == "number"
    assert "Peak" in found["trainer.learning_rate"].meaning
    assert found["model.pooling"].type == "mean | max | mean_std | attentive"
    assert found["trainer.head_learning_rate"].type == "number | null"
    assert found["resume"].type == "true | false | auto"


@pytest.mark.parametrize("command", sorted(SCHEMAS))
def test_every_key_of_every_command_has_a_type(command):
    names = [key.name for key in keys(SCHEMAS[command])]
    assert names
    assert len(set(names)) == len(names)


def test_a_type_without_a_name_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        type_name(bytes)


@pytest.mark.parametrize("command", sorted(SCHEMAS))
def test_every_key_of_every_command_has_a_meaning(command):
    assert [key.name for key in keys(SCHEMAS[command]) if not key.meaning] == []
