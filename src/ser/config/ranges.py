"""Ranges of the numbers of a config, declared with their fields and checked by one function."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from ser.errors import UserError

RANGE = "range"
"""Key of a field's metadata."""
CHOICES = "choices"
"""The same, for a field that takes booleans and words, which no type of OmegaConf describes."""


@dataclass(frozen=True)
class Range:
    """The finite numbers between two bounds, and the additional values in `also`."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    also: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        if value in self.also:
            return True
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Describe the range for the error message.

        >>> print(Range(least=0, below=1)), print(Range(least=1, also=(-1,)))
        at least 0 and below 1
        at least 1, or -1
        (None, None)
        """
        bounds = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        text = " and ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
        return ", or ".join([text or "a finite number", *map(str, self.also)])


def number(
    default: Any = MISSING,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    also: tuple[float, ...] = (),
) -> Any:
    """Declare a field that holds a number, or a list of numbers, within a range.

    >>> @dataclass
    ... class Serve:
    ...     port: int = number(least=0, most=65535)
    ...     def __post_init__(self) -> None:
    ...         check_ranges(self, "")
    >>> Serve(port=70000)
    Traceback (most recent call last):
    ser.errors.UserError: port=70000: it must be at least 0 and at most 65535
    """
    return field(default=default, metadata={RANGE: Range(least, above, most, below, also)})


def check_ranges(values: Any, prefix: str) -> None:
    """Check the values of a config dataclass by what their fields declare; call it in `__post_init__`.

    Args:
        values: The dataclass.
        prefix: Prefix of the field names on the command line, such as `trainer.`.

    Raises:
        UserError: A number is out of range, or a word is no choice; the message names the key, the value and what
            is possible.
    """
    for one in fields(values):
        if RANGE in one.metadata:
            check_number(f"{prefix}{one.name}", getattr(values, one.name), one.metadata[RANGE])
        if CHOICES in one.metadata and getattr(values, one.name) not in one.metadata[CHOICES]:
            choices = ", ".join(map(spell, one.metadata[CHOICES]))
            raise UserError(f"{prefix}{one.name}={getattr(values, one.name)}: choices: {choices}")


def spell(value: bool | str) -> str:
    """Return a value as it is typed on the command line."""
    return str(value).lower() if isinstance(value, bool) else value


def check_number(key: str, value: Any, allowed: Range) -> None:
    """Raise a UserError where a number, or a number in a list, is out of range; other values are ignored."""
    if any(not allowed.holds(entry) for entry in numbers_in(value)):
        raise UserError(f"{key}={value}: it must be {allowed}")


def numbers_in(value: Any) -> Iterator[float]:
    """Yield a number, or the numbers in a list or mapping, at any depth."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from numbers_in(entry)
    elif isinstance(value, dict):
        yield from numbers_in(list(value.values()))
