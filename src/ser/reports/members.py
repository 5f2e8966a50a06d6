"""The table of an ensemble's members, each by itself beside the ensemble."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from ser.evaluation.ensembles import MemberRow
from ser.files import printable, remove, write_csv
from ser.reports.report import Report

FILE = "members.csv"
HEADER = ("member", "UAR", "95 % interval", "accuracy", "ensemble minus member", "p", "adjusted")


def write(folder: Path, report: Report) -> None:
    """Write the table as CSV; without an ensemble, none of an earlier evaluation stays."""
    if not report.members:
        return remove(folder / FILE)
    where = (report.provenance.corpus, report.provenance.protocol["name"])
    return write_csv(folder / FILE, ["corpus", "protocol", *MemberRow._fields], ([*where, *m] for m in report.members))


def format_rows(rows: Sequence[MemberRow]) -> list[list[str]]:
    """Return the cells below `HEADER`."""
    return [
        [
            printable(row.name),
            f"{100 * row.unweighted_average_recall:.1f} %",
            f"{100 * row.interval_low:.1f} to {100 * row.interval_high:.1f} %",
            f"{100 * row.accuracy:.1f} %",
            f"{100 * row.difference:+.1f} points",
            format_p(row.p),
            format_p(row.adjusted),
        ]
        for row in rows
    ]


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
        f"Each member by itself on the same clips. Ensemble minus member: accuracy; p: {test}, paired; adjusted: after "
        f"Holm's correction for {len(report.members)} members. A member that is chosen by this table was chosen on the "
        f"{report.provenance.split} split."
    )


def text_lines(report: Report) -> list[str]:
    """Return the table as plain text; nothing without an ensemble."""
    if not report.members:
        return []
    table = tabulate(format_rows(report.members), HEADER, tablefmt="plain", disable_numparse=True)
    return [note(report), str(table), ""]
