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


def column(place: Path, name: str, called: str) -> list[str]:
    """Read one column of a CSV; its name may be spelt in capitals, with spaces around.

    Args:
        place: the file.
        name: of the column, in small letters.
        called: what the file is called in errors, such as `audio=list.csv`.

    Raises:
        UserError: it is no CSV in UTF-8 or UTF-16 with this column, or a row has nothing there.
    """
    lines = text_of(place, called)
    try:
        for delimiter in DELIMITERS:
            reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
            header = [cell.strip().lower() for cell in next(reader, [])]
            if header.count(name) == 1:
                return [
                    cell_of(row, header.index(name), f"{called}: line {reader.line_num}") for row in reader if any(row)
                ]
    except csv.Error as error:
        raise UserError(f"{called}: it is no CSV ({error})") from error
    raise UserError(f"{called}: its first line must name the column '{name}' once, and columns are divided by , or ;")


def text_of(place: Path, called: str) -> str:
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


def cell_of(row: Sequence[str], index: int, called: str) -> str:
    """Take a cell of a row.

    Raises:
        UserError: it is empty, is not there, or holds what no name does.
    """
    cell = row[index] if index < len(row) else ""
    if not cell.strip() or "\0" in cell:
        raise UserError(f"{called} names nothing")
    return cell
