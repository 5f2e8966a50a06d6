"""The notebook runs from its first cell to its last, but for the cell that installs the package."""

import sys
from pathlib import Path

import nbformat
import pytest
from helpers.commands import LAUNCHERS, PYTHON
from helpers.compositions import SMALL
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "scripts" / "colab.ipynb"
FEW = ("trainer.max_steps=2", "trainer.eval_strategy=steps", "trainer.eval_steps=2", "trainer.save_steps=2")


def tags(cell):
    return cell.metadata.get("tags", [])


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "install" not in tags(cell)]
    (parameters,) = (cell for cell in notebook.cells if "parameters" in tags(cell))
    parameters.source += f'\nEXTRA = "{" ".join((*SMALL, *FEW))}"'
    # `ser` of this environment, as the notebook's own installation would give it.
    path = f'import os\nos.environ["PATH"] = {str(LAUNCHERS)!r} + os.pathsep + os.environ["PATH"]'
    notebook.cells.insert(0, nbformat.v4.new_code_cell(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", PYTHON)  # of the kernel
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return folder, notebook


def test_the_notebook_writes_the_report_and_predicts(executed):
    folder, notebook = executed
    assert (folder / "runs" / "notebook" / "fold1" / "report.html").is_file()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(map(str, outputs))
    assert "Traceback" not in text
    assert "macro avg" in text
    assert "Prediction(emotion=" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3


def test_the_notebook_is_stored_without_outputs():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
