"""Dataclasses inside a dataclass of the config."""

from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin


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
