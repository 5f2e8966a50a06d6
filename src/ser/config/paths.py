"""Which values of a config are paths: the command line takes them as they stand, whatever is in their names."""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, get_type_hints

PATH: Mapping[str, Any] = MappingProxyType({"paths": 1})
"""Metadata of a field that is the path of a file or a folder; some may be names on the hub as well."""
PATHS: Mapping[str, Any] = MappingProxyType({"paths": 2})
"""Metadata of a field that is a path or a list of paths."""


def path_keys(schema: type[Any], prefix: str = "") -> dict[str, bool]:
    """Return the dotted keys of a dataclass that are paths; true where a list of them may stand.

    >>> from ser.config import Predict
    >>> path_keys(Predict)
    {'checkpoint': True, 'audio': False, 'root': False, 'output': False, 'embeddings': False, 'timeline': False}
    """
    keys, types = {}, get_type_hints(schema)
    for field in fields(schema):
        if is_dataclass(types[field.name]):
            keys.update(path_keys(types[field.name], f"{prefix}{field.name}."))
        elif "paths" in field.metadata:
            keys[prefix + field.name] = field.metadata["paths"] > 1
    return keys


def expand_home(values: Any) -> None:
    """Write the home folder for the `~` at the begin of each path: some shells leave it as it is after a `=`."""
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
    """Return the path as a shell would write it; what is called `~name` may lie in the current folder as well."""
    return path if not path.startswith("~/") and os.path.lexists(path) else os.path.expanduser(path)
