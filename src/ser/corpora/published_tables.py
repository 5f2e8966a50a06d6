"""Tables that come with a corpus: labels, speakers and splits of its recordings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ser.corpora.recordings import Recording, Scan, files_below
from ser.errors import UserError
from ser.tables import read_table, shorten
from ser.wording import counted

Row = Mapping[str, str]
T = TypeVar("T")


def find_table(root: Path, *names: str) -> Path | None:
    """Return the first file below a root that has one of these names; None if there is none."""
    return next((root / path for path in files_below(root) if PurePosixPath(path).name in names), None)


def need_table(root: Path, *names: str) -> Path:
    """Return the first file below a root that has one of these names.

    Raises:
        UserError: there is none.
    """
    if (path := find_table(root, *names)) is None:
        raise UserError(f"root={root}: {' or '.join(names)} is not below it; give the folder of the whole corpus")
    return path


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read a table that must have these columns, as texts without spaces around them.

    Raises:
        UserError: the table cannot be read, or lacks a column.
    """
    rows = read_table(path, columns, str(path))[list(columns)]
    return [{str(name): str(cell).strip() for name, cell in row.items()} for row in rows.to_dict("records")]


def fill_in(found: Scan, rows: Mapping[str, T], table: str, change: Callable[[Recording, T], Recording | str]) -> None:
    """Complete each recording by the row with its name.

    Args:
        found: its recordings are replaced; those without a row are left out, rows without a recording warned of.
        rows: by the names of recordings.
        table: what the table is called.
        change: returns the complete recording, or why it is left out.
    """
    present = {recording.name for recording in found.recordings}
    present |= {PurePosixPath(path).stem for paths in found.left_out.values() for path in paths}
    if absent := [name for name in rows if name not in present]:
        found.warnings.append(
            f"{counted(len(absent), f'rows of {table}')} without a recording: {', '.join(shorten(absent, 5))}"
        )
    found.revise(
        lambda recording: (
            change(recording, rows[recording.name])
            if recording.name in rows
            else f"recordings that {table} does not name"
        )
    )


def look_up(codes: Mapping[str, str], code: str, table: str, column: str) -> str:
    """Return the meaning of a code.

    Raises:
        UserError: it is no code of the corpus.
    """
    if code not in codes:
        raise UserError(f"{table}: {column} '{code}' must be one of {', '.join(codes)}")
    return codes[code]
