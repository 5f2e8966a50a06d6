"""Runs side by side under degraded clips, where `ser evaluate checkpoint=RUN stress=true` has scored them."""

import pandas as pd

from ser.comparison.blocks import Block
from ser.config import Split
from ser.reports.stress import FILE
from ser.runs.finished import Run
from ser.runs.folder import REPORT
from ser.runs.reading import explain_damage, read_json
from ser.runs.trained_data import evaluation_name

UNDER_STRESS = (
    "UAR under each condition, of the runs that `ser evaluate checkpoint=RUN stress=true` has scored; the clips are "
    "degraded in the same way for each run."
)


def stress_cells(block: Block) -> list[dict[str, str]]:
    """Return a row for each run of a block that has a table of degraded clips, formatted."""
    called = block.names
    return [
        {
            "run": f"{called[run.folder]}{describe_difference(run)}",
            **{name: f"{100 * recall:.1f} %" for name, recall in recalls.items()},
        }
        for run in block.runs
        if (recalls := read_recalls(run))
    ]


def read_recalls(run: Run) -> dict[str, float]:
    """Return the UAR by condition, from the evaluation of the test split; {} where there is none."""
    path = run.folder / evaluation_name(Split.test) / FILE
    if not path.is_file():
        return {}
    with explain_damage(path):
        rows = pd.read_csv(path)
        return dict(zip(rows["condition"], rows["unweighted_average_recall"].astype(float), strict=True))


def describe_difference(run: Run) -> str:
    """Return a remark where the evaluation has predicted in another way than the run, such as over copies of clips."""
    words = read_json(run.folder / evaluation_name(Split.test), REPORT)["in_words"]
    return "" if words == run.report["in_words"] else ", evaluated in another way (see its report)"
