"""Every example in a docstring of the package is run."""

import doctest
import importlib
import pkgutil

import pytest

import ser

COPIED = "ser.export.predict"
"""Runs beside an exported model, with imports that exist there alone; the tests of the export run it."""
WITH_FILES = "ser.api"
"""Needs a checkpoint and a recording; tests/test_python_api.py has them."""
MODULES = [
    module.name
    for module in pkgutil.walk_packages(ser.__path__, "ser.")
    if module.name not in (COPIED, WITH_FILES, "ser.__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(examples) > 40
