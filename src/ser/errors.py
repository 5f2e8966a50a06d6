"""A user's mistakes, each told in one line."""

from dataclasses import fields, is_dataclass

from omegaconf.errors import OmegaConfBaseException


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


def explained(error: BaseException) -> str:
    """Say an error in one line: the key, what is wrong with its value, and the choices.

    Hydra wraps OmegaConf's errors; the inner one knows the key and the class that lacks it.
    """
    while not isinstance(error, OmegaConfBaseException) and isinstance(error.__cause__, OmegaConfBaseException):
        error = error.__cause__
    if not isinstance(error, OmegaConfBaseException):
        # Hydra lists the choices of a config group one a line, and then where it looked.
        said, _, choices = str(error).split("Config search path")[0].partition("Available options in")
        told = " ".join(said.split())
        return f"{told}; choices of {', '.join(choices.split()).replace(':,', ':')}" if choices else told
    said = str(error.msg or error).split("\n")[0]
    told = said if not error.full_key or error.full_key in said else f"{error.full_key}: {said}"
    if error.msg and "not in" in said and is_dataclass(error.object_type):
        told += f"; choices: {', '.join(field.name for field in fields(error.object_type))}"
    return told
