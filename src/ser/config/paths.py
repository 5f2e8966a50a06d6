"""The config values that are paths or mappings, for which the command line has rules of its own."""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, get_origin, get_type_hints

from ser.config.nested import nested_dataclass

PATH: Mapping[str, Any] = MappingProxyType({"paths": 1})
"""Metadata of a field that is the path of a file or a folder; some fields also accept hub names."""
PATHS: Mapping[str, Any] = MappingProxyType({"paths": 2})
"""Metadata of a field that is a path or a list of paths."""


def path_keys(schema: type[Any], prefix: str = "") -> dict[str, bool]:
    """Return the dotted keys of a dataclass that are paths; True where a list of paths is allowed.

    >>> from ser.config import Predict
    >>> path_keys(Predict)
    {'checkpoint': True, 'audio': False, 'root': False, 'output': False, 'embeddings': False, 'timeline': False}
    """
    keys, types = {}, get_type_hints(schema)
    for field in fields(schema):
        if inner := nested_dataclass(types[field.name]):
            keys.update(path_keys(inner, f"{prefix}{field.name}."))
        elif "paths" in field.metadata:
            keys[prefix + field.name] = field.metadata["paths"] > 1
    return keys


def mapping_keys(schema: type[Any], prefix: str = "") -> list[str]:
    """Return the dotted keys of a dataclass that are mappings.

    >>> from ser.config import Corpus
    >>> mapping_keys(Corpus, "corpus.")
    ['corpus.emotions', 'corpus.columns']
    """
    keys, types = list[str](), get_type_hints(schema)
    for field in fields(schema):
        if inner := nested_dataclass(types[field.name]):
            keys += mapping_keys(inner, f"{prefix}{field.name}.")
        elif get_origin(types[field.name]) is dict:
            keys.append(prefix + field.name)
    return keys


def expand_home(values: Any) -> None:
    """Replace the `~` at the start of each path by the home folder; some shells do not expand it after a `=`."""
    for field in fields(values):
        value = getattr(values, field.name)
        if is_dataclass(value):
            expand_home(value)
        elif "paths" in field.metadata and value is not None:
            at_home = [home_for_tilde(path) for path in listed(value)]
            setattr(values, field.name, at_home if isinstance(value, list) else at_home[0])


def given_paths(values: Any) -> list[str]:
    """Return all paths of a config."""
    found = []
    for field in fields(values):
        value = getattr(values, field.name)
        if is_dataclass(value):
            found += given_paths(value)
        elif "paths" in field.metadata and value is not None:
            found += listed(value)
    return found


def listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def home_for_tilde(path: str) -> str:
    """Return the path with `~` expanded, unless an entry such as `~name` exists in the current folder."""
    return path if not path.startswith("~/") and os.path.lexists(path) else os.path.expanduser(path)
