"""Summary of predictions in the terminal: a table, or counts where there are many."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ser.files import printable
from ser.inference.output_format import OutputFormat, rounded
from ser.inference.predictions import WindowPrediction

MAX_ROWS = 50
"""Largest table that is printed when there is an output file; for more predictions only the counts are printed."""


@dataclass
class Summary:
    """The predictions of a command: the rows of its table, and the counts of all."""

    max_rows: int | None
    """None: no limit."""
    rows: list[WindowPrediction] = field(default_factory=list)
    emotions: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def add(self, window: WindowPrediction) -> None:
        """Count a prediction; keep it while the table does not exceed `max_rows`."""
        if window.prediction is None:
            self.failed += 1
        else:
            self.emotions[window.prediction.emotion] += 1
        if self.max_rows is None or len(self.rows) <= self.max_rows:
            self.rows.append(window)

    @property
    def has_table(self) -> bool:
        return self.max_rows is None or len(self.rows) <= self.max_rows


def print_summary(summary: Summary, output_format: OutputFormat, windowed: bool) -> None:
    """Print the table, or the number of predictions of each emotion."""
    console = Console()
    if not summary.rows:
        return
    if summary.has_table:
        console.print(make_table(summary.rows, output_format, windowed))
    else:
        failed = [("without a prediction", summary.failed)] if summary.failed else []
        counts = [*summary.emotions.most_common(), *failed]
        console.print(Text(", ".join(f"{count} {emotion}" for emotion, count in counts)))


def make_table(windows: Sequence[WindowPrediction], output_format: OutputFormat, windowed: bool) -> Table:
    """Return a table with the emotion, its probability, the second emotion and the prediction of each checkpoint."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("recording", overflow="fold")
    if windowed:
        table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("emotion")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("next", no_wrap=True)
    for checkpoint in output_format.checkpoints if output_format.is_ensemble else []:
        table.add_column(Text(checkpoint), overflow="fold")
    for window in windows:
        table.add_row(*cells(window, windowed))
    return table


def cells(window: WindowPrediction, windowed: bool) -> list[Text]:
    """Return the cells of a row; their text is not parsed as markup."""
    name, prediction = Text(printable(window.name)), window.prediction
    span = [Text(f"{window.start:.1f} - {window.end:.1f}" if prediction else "")] if windowed else []
    if prediction is None:
        return [name, *span, Text(window.error, style="yellow")]
    others = rounded(prediction)
    probability = others.pop(prediction.emotion)
    second = max(others, key=lambda label: others[label], default="")
    return [
        name,
        *span,
        Text(prediction.emotion),
        Text(f"{100 * probability:.0f} %"),
        Text(f"{second} {100 * others[second]:.0f} %" if second else "", style="dim"),
        *(Text(member.emotion) for member in prediction.members),
    ]
