"""Keys of the stamp in config.json: the data and the run that a checkpoint was trained by."""

from typing import Any

from ser import config

STAMP = "ser"
"""Key of config.json with the stamp: the data and the run that a checkpoint was trained by."""

ADAPTED = "adapted"
"""Key of the stamp of a checkpoint of `ser adapt`: the clips that it was adapted to."""

TEACHERS = "teachers"
"""Key of the stamp with the names of the runs whose predictions were a second target."""

INTERMEDIATE = "on_the_way"
"""Key of the stamp of a `checkpoint-N`: the weights of a step that no split has chosen."""
AUGMENT = "augment"
"""Key of the stamp of a checkpoint whose training clips were augmented: the settings in effect."""


def audio_config(stamp: dict[str, Any]) -> config.Audio:
    """Return the preprocessing of the clips that a checkpoint was trained on."""
    return config.Audio(**stamp["audio"]) if "audio" in stamp else config.Audio(trim=False)  # no choice at first
