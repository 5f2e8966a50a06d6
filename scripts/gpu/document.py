"""Markdown that is whole at any moment: what is known is appended at once."""

from pathlib import Path


class Document:
    """A file that parts append to, also from processes of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *paragraphs: str) -> None:
        """Append paragraphs, each with an empty line behind it."""
        self._append("".join(f"{paragraph}\n\n" for paragraph in paragraphs))

    def table(self, *columns: str) -> "Document":
        """Begin a table; `row` goes on with it, `end` closes it."""
        self.row(*columns)
        self._append("|" + "---|" * len(columns) + "\n")
        return self

    def row(self, *cells: object) -> None:
        """Append a row to the table that was begun last."""
        self._append("| " + " | ".join(one_line(str(cell)) for cell in cells) + " |\n")

    def end(self) -> None:
        """Close a table."""
        self._append("\n")

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


def one_line(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def failure(text: str, lines: int = 15) -> str:
    """The end of what a process printed, as a block."""
    return "```\n" + "\n".join(text.strip().splitlines()[-lines:]) + "\n```"
