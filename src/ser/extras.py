"""Optional dependencies: packages of an extra, which only some commands need."""

from contextlib import suppress
from importlib.util import find_spec

from ser.errors import UserError


def check_installed(extra: str, *packages: str, needed_by: str = "") -> None:
    """Raise a UserError where a package of an extra is missing; call it before the extra is imported.

    Args:
        extra: The name of the extra, as in `pip install "ser-finetune[EXTRA]"`.
        packages: The packages that the extra installs.
        needed_by: The part of the command line that needs it; the command with the extra's name by default.
    """
    if missing := [package for package in packages if not is_installed(package)]:
        raise UserError(
            f'{needed_by or f"ser {extra}"} needs {", ".join(missing)}: pip install "ser-finetune[{extra}]"'
        )


def is_installed(package: str) -> bool:
    """Return whether a package, or a part of a namespace package, can be imported."""
    with suppress(ModuleNotFoundError):  # the namespace package
        return find_spec(package) is not None
    return False
