"""The rooms of the package: who imports whom."""

import ast
from pathlib import Path

import pytest

import ser
from ser.models.architectures import ARCHITECTURES

SOURCE = Path(ser.__file__).parent
ROOMS = (
    "config",
    "corpora",
    "data",
    "augmentation",
    "models",
    "acceleration",
    "evaluation",
    "training",
    "runs",
    "reports",
    "comparison",
    "inference",
    "export",
    "publish",
    "serving",
    "experiments",
    "commands",
)
"""In the order of the data: a room imports earlier ones alone."""
LEAVES = (
    "checksums",
    "columns",
    "console",
    "ending",
    "error_line",
    "errors",
    "extras",
    "files",
    "garbage",
    "locks",
    "out_of_memory",
    "processes",
    "rows",
    "signal_watch",
    "tables",
    "wording",
)
"""Modules below all rooms; the others at the top (`cli` and what it needs) stand above them."""


def imported(path):
    """The first part of every import of the package in a file, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "ser":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ser."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ser."))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_earlier_rooms_alone(room):
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *LEAVES}
    upward = {
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in (SOURCE / room).rglob("*.py")
        for name in imported(path)
        if name not in allowed
    }
    assert not upward


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_imports_no_room(leaf):
    assert set(imported(SOURCE / f"{leaf}.py")) <= set(LEAVES)


def test_every_room_has_its_place_in_the_order():
    assert {path.parent.name for path in SOURCE.glob("*/*.py")} == set(ROOMS)


def test_a_command_imports_no_other_command():
    names = {path.stem for path in (SOURCE / "commands").glob("*.py")}
    for path in (SOURCE / "commands").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if f"ser.commands.{name}" in text], path


def test_no_test_imports_a_test():
    tests = Path(__file__).parent
    for path in tests.rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if line.lstrip().startswith(("from test_", "import test_"))], path


ARCHITECTURE_FILES = {f"models/{name}.py" for name in ("architectures", "classifiers", "moonshine", "whisper")}
"""The table of architectures and the classes that it names."""


def test_the_table_of_architectures_alone_states_in_what_they_differ():
    names = set(ARCHITECTURES)
    found = []
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).as_posix() in ARCHITECTURE_FILES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            compared = isinstance(node, ast.Compare) and any(
                isinstance(side, ast.Attribute) and side.attr == "model_type" for side in [node.left, *node.comparators]
            )
            if compared or (isinstance(node, ast.Constant) and node.value in names):
                found.append(f"{path}:{node.lineno}")
    assert not found
