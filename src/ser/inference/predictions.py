"""Answers as a table in the terminal, as rows of a CSV and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ser.files import printable
from ser.inference.predictor import Predictor, Said, Shares

DIGITS = 6
"""Of a probability in a file."""
LISTED = 50
"""Rows of a table that stands beside a file of answers; of more there are only the counts."""


@dataclass(frozen=True)
class Answer:
    """What is said of a recording, or of a stretch of one; or why nothing is."""

    name: str
    start: float = 0.0
    """Seconds."""
    end: float = 0.0
    """Seconds."""
    said: Said | None = None
    error: str = ""
    warning: str = ""
    """Why the answer is worth little."""


@dataclass
class Tally:
    """The answers that a table lists, and what all of them come to."""

    listed: int | None
    """How many at most; null: all."""
    answers: list[Answer] = field(default_factory=list)
    emotions: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def add(self, answer: Answer) -> None:
        """Count an answer; keep it as long as a table of all of them would be short enough."""
        if answer.said is None:
            self.failed += 1
        else:
            self.emotions[answer.said.emotion] += 1
        if self.listed is None or len(self.answers) <= self.listed:
            self.answers.append(answer)

    @property
    def is_listed(self) -> bool:
        return self.listed is None or len(self.answers) <= self.listed


@dataclass(frozen=True)
class Form:
    """How answers are written: by the names of the emotions, and of the checkpoints where there are several."""

    labels: list[str]
    checkpoints: list[str]

    @classmethod
    def of(cls, predictor: Predictor) -> "Form":
        return cls(predictor.labels, [printable(member.name) for member in predictor.members])

    @property
    def several(self) -> bool:
        return len(self.checkpoints) > 1

    def as_dict(self, answer: Answer) -> dict[str, Any]:
        """What a JSON line and the server's answer hold."""
        if answer.said is None:
            return {"path": printable(answer.name), "error": answer.error}
        values = {
            "path": printable(answer.name),
            "start": round(answer.start, 3),
            "end": round(answer.end, 3),
            "emotion": answer.said.emotion,
            "probabilities": self.named(answer.said.shares),
        }
        if answer.warning:
            values["warning"] = answer.warning
        if self.several:
            pairs = zip(self.checkpoints, answer.said.members, strict=True)
            values["members"] = [
                {"checkpoint": name, "emotion": self.best(shares), "probabilities": self.named(shares)}
                for name, shares in pairs
            ]
        return values

    def header(self) -> list[str]:
        """Columns of the CSV; those of a member are named by its checkpoint."""
        names = ["path", "start", "end", "emotion", *self.labels, "error", "warning"]
        if self.several:
            for checkpoint in self.checkpoints:
                names += [f"{checkpoint}: {name}" for name in ("emotion", *self.labels)]
        return names

    def row(self, answer: Answer) -> list[Any]:
        name = printable(answer.name)
        if answer.said is None:
            return [name, "", "", "", *([""] * len(self.labels)), answer.error, ""]
        span = [f"{answer.start:.3f}", f"{answer.end:.3f}"]
        cells = [name, *span, answer.said.emotion, *self.named(answer.said.shares).values(), "", answer.warning]
        if self.several:
            for shares in answer.said.members:
                cells += [self.best(shares), *self.named(shares).values()]
        return cells

    def named(self, shares: Shares) -> dict[str, float]:
        return {label: round(float(share), DIGITS) for label, share in zip(self.labels, shares, strict=True)}

    def best(self, shares: Shares) -> str:
        return self.labels[int(np.argmax(shares))]


def table(answers: Sequence[Answer], form: Form, windowed: bool) -> Table:
    """A row for each answer: the emotion with its probability, the next one, and what each checkpoint says."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("recording", overflow="fold")
    if windowed:
        shown.add_column("seconds", justify="right", no_wrap=True)
    shown.add_column("emotion")
    shown.add_column("", justify="right", no_wrap=True)
    shown.add_column("next", no_wrap=True)
    for checkpoint in form.checkpoints if form.several else []:
        shown.add_column(Text(checkpoint), overflow="fold")
    for answer in answers:
        shown.add_row(*cells(answer, form, windowed))
    return shown


def cells(answer: Answer, form: Form, windowed: bool) -> list[Text]:
    """Texts of one row; nothing in them is read as markup."""
    name = Text(printable(answer.name))
    span = [Text(f"{answer.start:.1f} - {answer.end:.1f}" if answer.said else "")] if windowed else []
    if answer.said is None:
        return [name, *span, Text(answer.error, style="yellow")]
    shares = form.named(answer.said.shares)
    share = shares.pop(answer.said.emotion)
    following = max(shares, key=lambda label: shares[label], default="")
    return [
        name,
        *span,
        Text(answer.said.emotion),
        Text(f"{100 * share:.0f} %"),
        Text(f"{following} {100 * shares[following]:.0f} %" if following else "", style="dim"),
        *(Text(form.best(member)) for member in answer.said.members if form.several),
    ]


def show(tally: Tally, form: Form, windowed: bool) -> None:
    """Print the table; of many answers that a file holds, how often each emotion is among them."""
    console = Console()
    if not tally.answers:
        return
    if tally.is_listed:
        console.print(table(tally.answers, form, windowed))
    else:
        counts = [*tally.emotions.most_common(), *([("without an answer", tally.failed)] if tally.failed else [])]
        console.print(Text(", ".join(f"{count} {emotion}" for emotion, count in counts)))
