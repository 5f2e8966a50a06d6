"""The keys of a command with type, choices and meaning, read from the dataclasses of `ser.config`."""

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ser.config.nested import nested_dataclass
from ser.config.ranges import CHOICES, spell


@dataclass(frozen=True)
class Key:
    """One value of a config."""

    name: str
    """Dotted, as on the command line."""
    type: str
    """The type in a user's terms: `number`, `true | false`, or the choices of an enum."""
    meaning: str
    """The docstring of the field, in one line."""


def keys(schema: type[Any], prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a dataclass and of the dataclasses inside it, in their order.

    >>> from ser.config import Audio
    >>> [(key.name, key.type) for key in keys(Audio, "audio.")]
    [('audio.trim', 'true | false')]
    """
    types, meanings = get_type_hints(schema), docstrings(schema)
    for field in fields(schema):
        if inner := nested_dataclass(types[field.name]):
            yield from keys(inner, f"{prefix}{field.name}.")
        else:
            choices = " | ".join(map(spell, field.metadata.get(CHOICES, ())))
            yield Key(prefix + field.name, choices or type_name(types[field.name]), meanings.get(field.name, ""))


def docstrings(schema: type[Any]) -> dict[str, str]:
    """Return the docstring of each field of a dataclass, read from the source because Python does not keep it."""
    tree = ast.parse(inspect.getsource(sys.modules[schema.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == schema.__name__)
    return {
        before.target.id: " ".join(after.value.value.split())
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


NAMES = {bool: "true | false", int: "whole number", float: "number", str: "text", Any: "text or list", NoneType: "null"}


def type_name(annotation: Any) -> str:
    """Return the name of a type in a user's terms.

    >>> type_name(float | None), type_name(list[int]), type_name(dict[int, str])
    ('number | null', 'list', 'mapping')
    """
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(map(type_name, get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(choice.value for choice in annotation)
    return {list: "list", dict: "mapping"}.get(get_origin(annotation)) or NAMES[annotation]
