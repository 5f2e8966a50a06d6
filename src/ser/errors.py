"""Errors for users, each in one line, and how they differ from defects."""

import errno
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path


class UserError(ValueError):
    """A mistake of the user's: its message is one line that names the thing, the value and the choices.

    The command line prints the message and exits with status 1; anything else that is raised is a defect of ours and
    keeps its traceback.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; its message is one line that says what is kept and how to go on.

    A command raises it from the KeyboardInterrupt that it met. The command line prints the message and exits with
    status 130.
    """


DISK = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "EIO", "ESTALE", "ENXIO")
LIMITS = ("EMFILE", "ENFILE", "ENOMEM")
SURROUNDINGS = {getattr(errno, name, None) for name in (*DISK, *LIMITS)}
"""Errors of a disk, of rights and of limits of the system, which are no defects."""


def is_explained(error: BaseException) -> bool:
    """Whether an error is explained by its message; any other is a defect."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, (UserError, HydraException, OmegaConfBaseException)):
        return True  # first: Hydra calls a misspelt choice of a group an OSError as well
    return isinstance(error, OSError) and (
        error.errno in SURROUNDINGS or isinstance(error, (ConnectionError, TimeoutError))
    )


def blame_given_path(error: Exception, given: Iterable[str]) -> Exception:
    """The UserError in place of an OSError about a path that was given, or about a folder above it."""
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
        named = Path(error.filename)
        if any(named == Path(path) or named in Path(path).parents for path in given):
            told = UserError(f"{error.filename}: {error.strerror}")
            told.__cause__ = error
            return told
    return error


def explain(error: BaseException) -> str:
    """Return an error as one line, without control characters."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line_of(error))


def line_of(error: BaseException) -> str:
    """The key, what is wrong with its value, and the choices.

    Hydra wraps OmegaConf's errors; the inner one knows the key and the class that lacks it.
    """
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    while not isinstance(error, OmegaConfBaseException) and isinstance(error.__cause__, OmegaConfBaseException):
        error = error.__cause__
    if not isinstance(error, OmegaConfBaseException):
        # Hydra lists the choices of a config group one a line, and then where it looked.
        said, _, choices = str(error).split("Config search path")[0].partition("Available options in")
        told = " ".join(said.split())
        if not choices:
            return told
        group, *names = shown(choices)
        misspelt = told.rpartition("/")[2].strip("'")
        return f"{told}{suggest(misspelt, names)}; choices of {group} {', '.join(names)}"
    said = str(error.msg or error).split("\n")[0]
    told = said if not error.full_key or error.full_key in said else f"{error.full_key}: {said}"
    if error.msg and "not in" in said and is_dataclass(error.object_type):
        names = [field.name for field in fields(error.object_type)]
        told += f"{suggest(str(error.key), names)}; choices: {', '.join(names)}"
    return told


def suggest(name: str, choices: Iterable[str], typed: str = "{}") -> str:
    """Say which choice a misspelt name comes close to, if one does.

    >>> suggest("modle", ["model", "trainer"])
    '; did you mean model?'
    """
    close = get_close_matches(name, list(choices), n=1)
    return f"; did you mean {typed.format(close[0])}?" if close else ""


def shown(choices: str) -> list[str]:
    """Return the files of a config group that can be chosen: those with an underscore are bases of others."""
    return [choice for choice in choices.split() if not choice.startswith("_")]
