"""What `pip install ser` leaves out, because only some commands need it."""

from importlib.util import find_spec

from ser.errors import UserError


def check_installed(extra: str, *packages: str, needed_by: str = "") -> None:
    """Raise a UserError where a package of an extra is missing; call it before anything of the extra is imported.

    Args:
        extra: As in `pip install "ser-finetune[EXTRA]"`.
        packages: What the extra installs.
        needed_by: What the user gave; the command of the same name by default.
    """
    if missing := [package for package in packages if find_spec(package) is None]:
        raise UserError(
            f'{needed_by or f"ser {extra}"} needs {", ".join(missing)}: pip install "ser-finetune[{extra}]"'
        )
