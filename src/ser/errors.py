"""One-line errors for users, and the distinction between them and defects."""

import errno
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path


class UserError(ValueError):
    """An error that the user can correct; its message is one line that names the thing, the value and the choices.

    The command line prints the message and exits with status 1. Any other exception is a defect of `ser`, and its
    traceback is kept.
    """


class FailedElsewhereError(UserError):
    """The end of a process whose training has ended in another one, which prints the reason."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGUSR1; its message is one line on what is kept and how to continue.

    A command raises it from a KeyboardInterrupt. The command line prints the message and exits with status 130, or
    with 75 after a scheduler's signal to a command that goes on when it is given again.
    """


DISK = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "EIO", "ESTALE", "ENXIO")
LIMITS = ("EMFILE", "ENFILE", "ENOMEM")
SURROUNDINGS = {getattr(errno, name, None) for name in (*DISK, *LIMITS)}
"""Errors of disks, permissions and system limits, which are not defects."""


def is_explained(error: BaseException) -> bool:
    """Return whether an error is explained by its message; any other error is a defect."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, (UserError, HydraException, OmegaConfBaseException)):
        return True  # checked first: Hydra's error for a misspelt choice of a group is an OSError too
    return isinstance(error, OSError) and (
        error.errno in SURROUNDINGS or isinstance(error, (ConnectionError, TimeoutError))
    )


def blame_given_path(error: Exception, given: Iterable[str]) -> Exception:
    """Return a UserError for an OSError about a given path or a parent of it; return other errors unchanged."""
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
        named = Path(error.filename)
        if any(named == Path(path) or named in Path(path).parents for path in given):
            user_error = UserError(f"{error.filename}: {error.strerror}")
            user_error.__cause__ = error
            return user_error
    return error


def explain(error: BaseException) -> str:
    """Return an error as one line, without control characters."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line_of(error))


def line_of(error: BaseException) -> str:
    """Return the key, the fault of its value and the choices.

    Hydra wraps OmegaConf's errors; the inner error has the key and the class without that key.
    """
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    while not isinstance(error, OmegaConfBaseException) and isinstance(error.__cause__, OmegaConfBaseException):
        error = error.__cause__
    if not isinstance(error, OmegaConfBaseException):
        # Hydra lists the choices of a config group, one per line, and then its search path.
        text, _, choices = str(error).split("Config search path")[0].partition("Available options in")
        message = " ".join(text.split())
        if not choices:
            return message
        group, *names = shown(choices)
        misspelt = message.rpartition("/")[2].strip("'")
        return f"{message}{suggest(misspelt, names)}; choices of {group} {', '.join(names)}"
    text = str(error.msg or error).split("\n")[0]
    message = text if not error.full_key or error.full_key in text else f"{error.full_key}: {text}"
    if error.msg and "not in" in text and is_dataclass(error.object_type):
        names = [field.name for field in fields(error.object_type)]
        message += f"{suggest(str(error.key), names)}; choices: {', '.join(names)}"
    return message


def suggest(name: str, choices: Iterable[str], typed: str = "{}") -> str:
    """Return a suggestion of the choice closest to a misspelt or shortened name; empty where none is close.

    >>> suggest("modle", ["model", "trainer"])
    '; did you mean model?'
    >>> suggest("lr", ["warmup_ratio", "learning_rate"])
    '; did you mean learning_rate?'
    """
    listed = list(choices)
    close = [*get_close_matches(name, listed, n=1), *(choice for choice in listed if shortens(name, choice))]
    return f"; did you mean {typed.format(close[0])}?" if close else ""


def shortens(name: str, choice: str) -> bool:
    """Return whether a name is the initials of the words of a choice, or its last words.

    >>> shortens("lr", "learning_rate"), shortens("epochs", "num_train_epochs"), shortens("rate", "l_rated")
    (True, True, False)
    """
    words = choice.split("_")
    return len(words) > 1 and (name == "".join(word[:1] for word in words) or choice.endswith(f"_{name}"))


def shown(choices: str) -> list[str]:
    """Return the choices of a config group; files whose names start with an underscore are bases of others."""
    return [choice for choice in choices.split() if not choice.startswith("_")]
