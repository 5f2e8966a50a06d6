"""Local places, which hold the names of persons and machines, taken out of what is sent."""

import re
import shlex
from typing import Any

ROOT = r"(?:~|/|\\|[A-Za-z]:[\\/])"
"""How an absolute path begins, on any system."""


def without_places(value: Any) -> Any:
    """JSON in which each text that is a path is its last part.

    >>> without_places({"pretrained": "/home/anna/encoders/large", "reference": "none / not published"})
    {'pretrained': 'large', 'reference': 'none / not published'}
    """
    if isinstance(value, dict):
        return {key: without_places(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_places(entry) for entry in value]
    is_path = isinstance(value, str) and re.match(rf"{ROOT}|\.\.?[\\/]", value)
    return last_part(value) if is_path else value


def command_without_places(command: str) -> str:
    """A command line in which each absolute path is its last part, after three dots.

    >>> command_without_places("ser train model.pretrained=/home/anna/large 'root=~/my data' seed=1")
    "ser train model.pretrained=.../large 'root=.../my data' seed=1"
    """
    # To the end of the word: where a path ends inside of one is anybody's guess.
    pattern = rf"(?<![\w.\\/]){ROOT}.*"
    return shlex.join(
        re.sub(pattern, lambda found: f".../{last_part(found[0])}", word, count=1, flags=re.DOTALL)
        for word in shlex.split(command)
    )


def last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
