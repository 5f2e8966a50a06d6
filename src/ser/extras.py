"""What `pip install ser` leaves out, because only some commands need it."""

from importlib.util import find_spec

from ser.errors import UserError


def check_installed(extra: str, *packages: str) -> None:
    """Raise a UserError where a package of an extra is missing; called before anything of it is imported."""
    if missing := [package for package in packages if find_spec(package) is None]:
        raise UserError(f'ser {extra} needs {", ".join(missing)}: pip install "ser-finetune[{extra}]"')
