import pytest

from ser.errors import UserError
from ser.extras import check_installed


def test_what_is_missing_is_named_with_the_command_that_brings_it():
    with pytest.raises(UserError, match=r'^ser export needs nosuchpackage: pip install "ser-finetune\[export\]"$'):
        check_installed("export", "numpy", "nosuchpackage")


def test_no_error_is_raised_where_no_package_is_missing():
    check_installed("export", "numpy")
