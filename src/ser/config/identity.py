"""Which keys decide what a run computes: two runs that agree in them are repetitions of each other."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, get_type_hints

INCIDENTAL: Mapping[str, Any] = MappingProxyType({"incidental": True})
"""Metadata of a field that does not change the result of a run: where data and run lie, what is saved, who is told."""


def incidental_keys(schema: type[Any], prefix: str = "") -> set[str]:
    """Return the dotted keys of a dataclass that are incidental; one of a group stands for all keys inside it.

    >>> from ser.config import Protocol
    >>> incidental_keys(Protocol)
    {'folds_csv'}
    """
    keys, types = set(), get_type_hints(schema)
    for field in fields(schema):
        if field.metadata.get("incidental"):
            keys.add(prefix + field.name)
        elif is_dataclass(types[field.name]):
            keys |= incidental_keys(types[field.name], f"{prefix}{field.name}.")
    return keys
