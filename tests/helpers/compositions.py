"""Command lines composed as Hydra does, where those that choose the same groups share what is read and merged."""

import copy
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser

from ser.apps import CONFIGS, SCHEMAS, checked

SMALL = (
    "model=tiny", "model.encoder_config.num_hidden_layers=1", "model.encoder_config.hidden_size=32",
    "model.encoder_config.intermediate_size=32", "model.encoder_config.conv_dim=[16,16,16,16]",
    "model.classifier_proj_size=32",
)  # fmt: skip
"""A smaller encoder than `model=tiny`, for tests of everything but what it learns."""
GROUPS = {path.name for path in Path(CONFIGS).iterdir() if path.is_dir()}


def composed(command, *overrides):
    """The checked dataclass that a command line gives."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [override for override in parsed if not is_choice(override)]
    choices = tuple(override.input_line for override in parsed if is_choice(override))
    cfg = copy.deepcopy(chosen(command, choices))
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)  # the last step of `compose`
    return checked(cfg, SCHEMAS[command])


def is_choice(override):
    """Whether an override names an option of a group, such as `model=tiny` and `hydra/launcher=joblib`."""
    return override.key_or_group.split("/")[0] in GROUPS


@cache
def chosen(command, choices):
    """A command's configuration with these choices of groups, before any value is given."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose(command, overrides=list(choices))
