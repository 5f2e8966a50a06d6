"""Keys of earlier releases: their current names, and the reasons why some were removed.

Both the command line and the config.yaml of earlier runs are read through these two tables. An entry is kept for one
release.
"""

import re
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from ser.config.nested import nested_dataclass
from ser.errors import UserError

RENAMED = {
    "audit": "on_leak",
    "combine": "ensemble",
    "longest": "max_seconds",
    "model.config": "model.encoder_config",
    "patience": "timeout",
    "trainer.hf": "trainer.extra_training_args",
    "trainer.resident": "trainer.dataset_on_gpu",
}
"""Dotted key of an earlier release -> its current name. A mapping is renamed together with the keys inside it."""

REMOVED: dict[str, str] = {
    "format": "ONNX is the only format of `ser export`",
    "trainer.attention": "the device and trainer.precision decide the attention code",
    "trainer.quick_dropout": "on a CPU, training in bf16 draws its dropout masks by a fast generator",
    "trainer.save_optimizer_every": "every checkpoint can be resumed from",
}
"""Dotted key of an earlier release -> the reason for its removal, in a few words."""

ADDED: dict[str, Any] = {
    "trainer.choose": "best",
    "trainer.inner_folds": 4,
    "trainer.teacher_weight": 0.5,
    "trainer.teacher_temperature": 2.0,
}
"""Dotted key of a later release -> the value under which a run computes what it did before."""

WORD = re.compile(r"(?P<sign>--|\+{1,2}|~|)(?P<key>[\w.-]+)(?P<rest>=.*|)", re.DOTALL)


def current_word(word: str, schema: type[Any]) -> str:
    """Return a word of the command line with the current name of its key.

    >>> from ser.config import Train
    >>> current_word("+trainer.hf.tf32=true", Train)
    '+trainer.extra_training_args.tf32=true'

    Args:
        word: An override such as `key=value`, `+key=value`, `~key` or `--key`. Other words are returned unchanged.
        schema: The dataclass of the command; a key that it never had is not renamed.

    Raises:
        UserError: The key was removed; the message gives the reason.
    """
    match = WORD.fullmatch(word)
    if match is None or not (match["sign"] or match["rest"]):
        return word
    key = match["key"].replace("-", "_") if match["sign"] == "--" else match["key"]
    for old, reason in REMOVED.items():
        if is_within(key, old) and has_key(schema, old.rpartition(".")[0]):
            raise UserError(f"{old}: this key is gone: {reason}")
    for old, new in RENAMED.items():
        if is_within(key, old) and has_key(schema, new):
            return f"{match['sign']}{new}{key[len(old) :]}{match['rest']}"
    return word


def current_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of an earlier run under the current keys, without removed keys.

    >>> current_settings({"trainer": {"hf": {"tf32": True}, "optim": "sgd"}})
    {'trainer': {'optim': 'sgd', 'extra_training_args': {'tf32': True}}}
    """
    settings = deepcopy(settings)
    for old in (*RENAMED, *REMOVED):
        holder, leaf = parent_of(settings, old)
        if leaf in holder:
            value = holder.pop(leaf)
            if old in RENAMED:
                holder, leaf = parent_of(settings, RENAMED[old])
                holder.setdefault(leaf, value)
    return settings


def is_within(key: str, group: str) -> bool:
    """Return whether a dotted key is `group` or a key inside it."""
    return key == group or key.startswith(f"{group}.")


def has_key(schema: type[Any], key: str) -> bool:
    """Return whether a dataclass, or one inside it, has a field at a dotted key; True for the empty key."""
    for name in filter(None, key.split(".")):
        if not is_dataclass(schema) or name not in {field.name for field in fields(schema)}:
            return False
        annotation = get_type_hints(schema)[name]
        schema = nested_dataclass(annotation) or annotation
    return True


def parent_of(settings: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Return the mapping that contains a dotted key, and its name there; an empty mapping where there is none."""
    *groups, leaf = key.split(".")
    for group in groups:
        inner = settings.get(group)
        settings = inner if isinstance(inner, dict) else {}
    return settings, leaf
