"""Summary of predictions in the terminal: a table, or counts where there are many."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ser.files import printable
from ser.inference.journal import Counts
from ser.inference.output_format import OutputFormat, rounded
from ser.inference.predictions import WindowPrediction

MAX_ROWS = 50
"""Largest table that is printed when there is an output file; for more predictions only the counts are printed."""

PAGE = 1000
"""Rows of a table that are printed together where there is no output file, so that memory does not grow with them."""


class StandardOutput(Console):
    """Standard output; the command ends as others do where its reader is gone, and not with an error."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@dataclass
class Summary:
    """The table of a command's predictions, printed at the end; without an output file, a page at a time."""

    output_format: OutputFormat
    windowed: bool
    max_rows: int | None
    """Rows of the largest table; beyond it the counts are printed. None: all predictions are printed."""
    rows: list[WindowPrediction] = field(default_factory=list)

    def add(self, window: WindowPrediction) -> None:
        """Keep a prediction while the table does not exceed `max_rows`."""
        if self.max_rows is None or len(self.rows) < self.max_rows:
            self.rows.append(window)
        if self.max_rows is None and len(self.rows) == PAGE:
            self.print_table()

    def print(self, counts: Counts) -> None:
        """Print the rest of the table where it has all predictions, or the number of predictions of each emotion."""
        if self.max_rows is None or len(self.rows) == counts.predictions:
            self.print_table()
            return
        failed = [("without a prediction", counts.failed)] if counts.failed else []
        numbers = [*counts.emotions.most_common(), *failed]
        StandardOutput().print(Text(", ".join(f"{number} {emotion}" for emotion, number in numbers)))

    def print_table(self) -> None:
        if self.rows:
            StandardOutput().print(make_table(self.rows, self.output_format, self.windowed))
            self.rows = []


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
    decimals = count_decimals(windows)
    for window in windows:
        table.add_row(*cells(window, windowed, decimals))
    return table


def count_decimals(windows: Sequence[WindowPrediction]) -> int:
    """Return the decimal places of the seconds of a table: 2 where 1 would show other times, and the same one twice."""
    times = [time for window in windows if window.prediction for time in (window.start, window.end)]
    return 1 if all(round(time, 1) == round(time, 2) for time in times) else 2


def cells(window: WindowPrediction, windowed: bool, decimals: int) -> list[Text]:
    """Return the cells of a row; their text is not parsed as markup."""
    name, prediction = Text(printable(window.name)), window.prediction
    seconds = f"{window.start:.{decimals}f} - {window.end:.{decimals}f}" if prediction else ""
    span = [Text(seconds)] if windowed else []
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
