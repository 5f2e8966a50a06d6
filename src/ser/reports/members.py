"""The table of an ensemble's members, each by itself beside the ensemble."""

import os
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from ser.evaluation.ensembles import MemberRow
from ser.files import printable, remove, write_csv
from ser.reports.report import Report

FILE = "members.csv"
HEADER = ("member", "UAR", "95 % interval", "accuracy", "difference", "p", "adjusted")


def write(folder: Path, report: Report) -> None:
    """Write the table as CSV; without an ensemble, none of an earlier evaluation stays."""
    if not report.members:
        return remove(folder / FILE)
    where = (report.provenance.corpus, report.provenance.protocol["name"])
    return write_csv(folder / FILE, ["corpus", "protocol", *MemberRow._fields], ([*where, *m] for m in report.members))


def format_rows(rows: Sequence[MemberRow]) -> list[list[str]]:
    """Return the cells below `HEADER`; the folder that all members lie in is left out of their names."""
    return [
        [
            printable(name),
            f"{100 * row.unweighted_average_recall:.1f} %",
            f"{100 * row.interval_low:.1f} to {100 * row.interval_high:.1f} %",
            f"{100 * row.accuracy:.1f} %",
            f"{100 * row.difference:+.1f} points",
            format_p(row.p),
            format_p(row.adjusted),
        ]
        for name, row in zip(shorten_names([row.name for row in rows]), rows, strict=True)
    ]


def shorten_names(names: Sequence[str]) -> list[str]:
    """Return names without the folder that all of them begin with.

    >>> shorten_names(["/data/runs/a/fold1", "/data/runs/b/fold1"]), shorten_names(["runs/a", "/b"])
    (['a/fold1', 'b/fold1'], ['runs/a', '/b'])
    """
    try:
        shared = os.path.commonpath([os.path.dirname(name) for name in names]) if len(names) > 1 else ""
    except ValueError:  # absolute and relative paths
        return list(names)
    return [os.path.relpath(name, shared) if shared else name for name in names]


def format_p(p: float) -> str:
    """Format a p-value; it is never 0.

    >>> format_p(0.0123), format_p(0.0002)
    ('0.012', '< 0.001')
    """
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def note(report: Report) -> str:
    """Say what the table compares, and what it must not be used for."""
    test = (
        "the permutation test over speakers" if report.provenance.speaker_independent else "McNemar's test over clips"
    )
    return (
        "Each member by itself on the same clips. Difference: accuracy of the ensemble minus that of the member; p: "
        f"{test}, paired; adjusted: after Holm's correction for {len(report.members)} members. A member that is chosen "
        f"by this table was chosen on the {report.provenance.split} split."
    )


def text_lines(report: Report) -> list[str]:
    """Return the table as plain text; nothing without an ensemble."""
    if not report.members:
        return []
    table = tabulate(format_rows(report.members), HEADER, tablefmt="plain", disable_numparse=True)
    return [note(report), str(table), ""]
