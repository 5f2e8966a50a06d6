"""Dataclasses inside a dataclass of the config."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def nested_dataclass(annotation: Any) -> type[Any] | None:
    """Return the dataclass of a field, also where the field may be None; None for a field of another type.

    >>> from ser.config import Corpus
    >>> nested_dataclass(Corpus | None).__name__, nested_dataclass(int | None)
    ('Corpus', None)
    """
    if get_origin(annotation) in (Union, UnionType):
        inner = [one for one in get_args(annotation) if one is not NoneType]
        annotation = inner[0] if len(inner) == 1 else None
    return annotation if isinstance(annotation, type) and is_dataclass(annotation) else None


def nested_keys(schema: type[Any]) -> Iterator[str]:
    """Yield the dotted keys of the dataclasses inside a dataclass.

    >>> from ser.config import Train
    >>> [key for key in nested_keys(Train) if key.startswith("corpus.n")]
    ['corpus.name']
    """
    types = get_type_hints(schema)
    for entry in fields(schema):
        if (inside := nested_dataclass(types[entry.name])) is not None:
            yield from (f"{entry.name}.{key.name}" for key in fields(inside))
