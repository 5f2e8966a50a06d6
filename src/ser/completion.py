"""Shell completion of paths; Hydra completes the other keys and their choices."""

import os
from collections.abc import Sequence
from glob import escape, glob


def complete_path(typed: Sequence[str], paths: dict[str, bool]) -> list[str] | None:
    """Return completions of the last word where it is an option or a path; None where Hydra completes it.

    After `--key` the list is empty, and the shell completes file names itself, whatever characters they contain.
    After `key=`, names with spaces are left out, because the shell splits completions at spaces.

    Args:
        typed: The words after the subcommand.
        paths: The keys that are paths.
    """
    before, last = ["", *typed][-2:]
    if before.startswith("--") and key_of(before) in paths:
        return []
    name, equals, text = last.partition("=")
    if equals and key_of(name) in paths:
        found = sorted(glob(f"{escape(os.path.expanduser(text))}*"))
        return [f"{name}={path}{'/' * os.path.isdir(path)}" for path in found if not set(path) & set(" \t\n")]
    if last.startswith("--"):
        return [option for option in (f"--{key}" for key in paths) if option.startswith(last)]
    return None


def without_paths(typed: Sequence[str], paths: dict[str, bool]) -> list[str]:
    """Return the words without the options for paths, which Hydra does not accept."""
    known = [word.startswith("--") and key_of(word.partition("=")[0]) in paths for word in typed]
    behind = [False, *(known_one and "=" not in word for known_one, word in zip(known, typed, strict=True))]
    return [word for word, drop, follows in zip(typed, known, behind, strict=False) if not drop and not follows]


def key_of(name: str) -> str:
    """Return the key of `--key` or `key`.

    >>> key_of("--data-dir"), key_of("audio")
    ('data_dir', 'audio')
    """
    return name[2:].replace("-", "_") if name.startswith("--") else name.lstrip("+")
