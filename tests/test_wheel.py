import ast
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from helpers.commands import FRESH_PYTHON
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parents[1]


def call(*arguments, **kwargs):
    return subprocess.run(list(map(str, arguments)), check=True, capture_output=True, text=True, **kwargs)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that a user gets: built from the source archive, as on an index."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--outdir", folder, CHECKOUT)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_every_config_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    suffixes = (".py", ".html", ".css", ".md", ".typed")
    sources = [path for path in (CHECKOUT / "src").rglob("*") if path.name.endswith(suffixes)]
    modules = {path.relative_to(CHECKOUT / "src").as_posix() for path in sources}
    configs = {f"ser/{path.relative_to(CHECKOUT).as_posix()}" for path in (CHECKOUT / "configs").rglob("*.yaml")}
    assert len(configs) > 10
    assert names == modules | configs


def imported_packages():
    """The top-level names that the package imports anywhere, besides its own and Python's."""
    found = set()
    for path in (CHECKOUT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"ser", "trim", "model_inputs"}  # copied beside an export


def test_every_package_that_is_imported_is_declared():
    project = pytest.importorskip("tomllib").loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {Requirement(text).name.lower().replace("_", "-") for text in required}
    distributions = packages_distributions()
    undeclared = [
        name
        for name in imported_packages()
        if not declared & {found.lower().replace("_", "-") for found in distributions.get(name, [name])}
    ]
    assert undeclared == []


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder outside the checkout, and a function that runs Python there with the package of the wheel.

    The heavy dependencies come from the environment of the tests.
    """
    folder = tmp_path_factory.mktemp("outside")
    call(sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder / "site", wheel)
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    return folder, lambda *words: call(FRESH_PYTHON, *words, cwd=folder, env=environment).stdout


def test_the_installed_wheel_is_what_runs_outside_the_checkout(installed):
    folder, python = installed
    assert str(folder / "site") in python("-c", "import ser; print(ser.__file__)")
    assert "evaluate" in python("-m", "ser", "--help")


def test_the_quickstart_of_the_installed_wheel_recognises_emotions_of_new_synthetic_speakers(installed):
    folder, python = installed
    run = folder / "runs" / "synthetic-emobox-tiny-seed0" / "fold2"
    assert "1440 clips, 24 speakers" in python("-m", "ser", "prepare-data", "corpus=synthetic", "protocol=emobox")
    # Fold 2 took no part in shaping the corpus or the model; the quickstart's own fold 1 did.
    # Three epochs of its five are enough for 0.61; chance is 0.125.
    words = ("experiment=quickstart", "protocol.fold=2", "trainer.num_train_epochs=3")
    assert "SYNTHETIC" in python("-m", "ser", "train", *words)
    report = json.loads((run / "classification_report.json").read_text())
    assert report["unweighted_average_recall"] >= 0.5
    assert "SYNTHETIC" in python("-m", "ser", "evaluate", f"checkpoint={run.relative_to(folder)}")
    # It is labelled synthetic in every file that it leads to.
    for path in [*run.iterdir(), *(folder / "data" / "synthetic").iterdir(), run / "checkpoint" / "config.json"]:
        if path.suffix in (".txt", ".json", ".csv", ".html", ".yaml", ".log"):
            assert "synthetic" in path.read_text().lower(), path
