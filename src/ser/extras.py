"""Optional dependencies: packages of an extra, which only some commands need."""

from importlib.util import find_spec

from ser.errors import UserError


def check_installed(extra: str, *packages: str, needed_by: str = "") -> None:
    """Raise a UserError where a package of an extra is missing; call it before the extra is imported.

    Args:
        extra: The name of the extra, as in `pip install "ser-finetune[EXTRA]"`.
        packages: The packages that the extra installs.
        needed_by: The part of the command line that needs it; the command with the extra's name by default.
    """
    if missing := [package for package in packages if find_spec(package) is None]:
        raise UserError(
            f'{needed_by or f"ser {extra}"} needs {", ".join(missing)}: pip install "ser-finetune[{extra}]"'
        )
