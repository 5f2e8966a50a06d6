"""Lists that a user brings: CSV as spreadsheets and programs write it."""

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ser.errors import UserError

ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""By the first bytes of a file; without one of them it is UTF-8."""
DELIMITERS = ",;\t"
"""What stands between columns: `;` where a spreadsheet's decimal point is a comma, a tab in its "Unicode text"."""


def read_column(place: Path, name: str, called: str) -> list[str]:
    """Read one column of a CSV; its name may be spelt in capitals, with spaces around.

    Args:
        place: the file.
        name: of the column, in small letters.
        called: what the file is called in errors, such as `audio=list.csv`.

    Raises:
        UserError: it is no CSV in UTF-8 or UTF-16 with this column, or a row has nothing there.
    """
    return [only_cell(cells, f"{called}: line {line}") for line, cells in read_columns(place, [name], called)]


def read_columns(place: Path, names: Sequence[str], called: str) -> list[tuple[int, list[str]]]:
    """Read some columns of a CSV: for each row its line and its cells; one that is not there is empty.

    Raises:
        UserError: it is no CSV in UTF-8 or UTF-16 with these columns.
    """
    lines = decode_text(place, called)
    try:
        for delimiter in DELIMITERS:
            reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
            header = [cell.strip().lower() for cell in next(reader, [])]
            if all(header.count(name) == 1 for name in names):
                places = [header.index(name) for name in names]
                return [
                    (reader.line_num, [row[index] if index < len(row) else "" for index in places])
                    for row in reader
                    if any(row)
                ]
    except csv.Error as error:
        raise UserError(f"{called}: it is no CSV ({error})") from error
    named = f"column '{names[0]}'" if len(names) == 1 else "columns " + " and ".join(f"'{name}'" for name in names)
    raise UserError(f"{called}: its first line must name the {named} once, and columns are divided by , or ;")


def decode_text(place: Path, called: str) -> str:
    """Decode a file by its first bytes.

    Raises:
        UserError: it is in another encoding.
    """
    content = place.read_bytes()
    encoding = next((name for mark, name in ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{called}: line {line} is not {encoding.upper()}; a spreadsheet writes that as 'CSV UTF-8'"
        ) from error


def only_cell(cells: Sequence[str], called: str) -> str:
    """Take the only cell.

    Raises:
        UserError: it is empty, or holds what no name does.
    """
    if not cells[0].strip() or "\0" in cells[0]:
        raise UserError(f"{called} names nothing")
    return cells[0]
