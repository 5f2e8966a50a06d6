"""The keys that determine the result of a run; two runs with the same values of them are repetitions."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, get_type_hints

from ser.config.nested import nested_dataclass

INCIDENTAL: Mapping[str, Any] = MappingProxyType({"incidental": True})
"""Metadata of a field that does not change the result of a run: locations, saved files, trackers."""


def incidental_keys(schema: type[Any], prefix: str = "") -> set[str]:
    """Return the dotted incidental keys of a dataclass; the key of a group includes all keys inside it.

    >>> from ser.config import Protocol
    >>> incidental_keys(Protocol)
    {'folds_csv'}
    """
    keys, types = set(), get_type_hints(schema)
    for field in fields(schema):
        if field.metadata.get("incidental"):
            keys.add(prefix + field.name)
        elif inner := nested_dataclass(types[field.name]):
            keys |= incidental_keys(inner, f"{prefix}{field.name}.")
    return keys
