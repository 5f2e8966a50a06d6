"""Remove local paths, which hold the names of persons and machines, from what is pushed."""

import re
import shlex
from typing import Any

ROOT = r"(?:~|/|\\|[A-Za-z]:[\\/])"
"""The beginning of an absolute path, on any system."""


def redact_paths(value: Any) -> Any:
    """Replace each text in JSON that is a path by its last part.

    >>> redact_paths({"pretrained": "/home/anna/encoders/large", "reference": "none / not published"})
    {'pretrained': 'large', 'reference': 'none / not published'}
    """
    if isinstance(value, dict):
        return {key: redact_paths(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [redact_paths(entry) for entry in value]
    is_path = isinstance(value, str) and re.match(rf"{ROOT}|\.\.?[\\/]", value)
    return last_part(value) if is_path else value


def redact_command(command: str) -> str:
    """Replace each absolute path in a command line by its last part, after three dots.

    >>> redact_command("ser train model.pretrained=/home/anna/large 'root=~/my data' seed=1")
    "ser train model.pretrained=.../large 'root=.../my data' seed=1"
    """
    # To the end of the word: the end of a path inside it is not known.
    pattern = rf"(?<![\w.\\/]){ROOT}.*"
    return shlex.join(
        re.sub(pattern, lambda found: f".../{last_part(found[0])}", word, count=1, flags=re.DOTALL)
        for word in shlex.split(command)
    )


def last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
