"""Tables that a user brings: CSV as spreadsheets and programs write it, and Parquet."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""By the first bytes of a file; without one of them it is UTF-8."""
DELIMITERS = ",;\t"
"""What stands between columns: `;` where a spreadsheet's decimal point is a comma, a tab in its "Unicode text"."""
PARQUET = (".parquet", ".pq")


def read_table(path: Path, needed: Sequence[str], called: str) -> "pd.DataFrame":
    """Read a table as texts.

    Args:
        path: a CSV in UTF-8 or UTF-16, with columns divided by a comma, a semicolon or a tab; or a Parquet file.
        needed: names of columns, in small letters, that must be there once.
        called: what the file is called in errors, such as `audio=list.csv`.

    Returns:
        The rows that hold anything, indexed by their line (of a Parquet file: their row from 1), with an empty text
        where a cell is empty. The names of columns are in small letters, without spaces around them.

    Raises:
        UserError: the file cannot be read as a table, or lacks a column.
    """
    if path.suffix.lower() in PARQUET:
        return read_parquet(path, needed, called)
    text = decode_text(path, called)
    for delimiter in DELIMITERS:
        header = read_header(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        if all(header.count(name) == 1 for name in needed):
            return drop_empty_rows(parse(text, delimiter, called).iloc[1:].set_axis(header, axis=1))
    headers = (read_header(csv.reader(io.StringIO(text, newline=""), delimiter=each)) for each in DELIMITERS)
    found = max(headers, key=len)
    raise UserError(
        f"{called}: its first line must name the {quoted(needed)} once, and columns are divided by , or ; or a tab; it "
        f"has {', '.join(shorten(found)) or 'nothing'}"
    )


def read_header(rows: Iterator[list[str]]) -> list[str]:
    """Return the names of columns in the first row."""
    try:
        cells = next(rows, [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


def parse(text: str, delimiter: str, called: str) -> "pd.DataFrame":
    """Parse a CSV into cells of text, indexed by line."""
    import pandas as pd

    try:
        rows = pd.read_csv(
            io.StringIO(text, newline=""),
            sep=delimiter,
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            engine="python",  # reports what it cannot parse, and takes the line ends of every system
        )
    except pd.errors.ParserError as error:
        raise UserError(f"{called}: it is no CSV ({' '.join(str(error).split())})") from error
    return rows.fillna("").set_axis(range(1, len(rows) + 1), axis=0)


def read_parquet(path: Path, needed: Sequence[str], called: str) -> "pd.DataFrame":
    """Read a Parquet file as texts; see `read_table`."""
    import pandas as pd
    from pyarrow import ArrowException

    try:
        rows = pd.read_parquet(path)
    except (ArrowException, OSError, ValueError) as error:
        raise UserError(f"{called}: it is no Parquet file ({' '.join(str(error).split())[:200]})") from error
    header = [str(name).strip().lower() for name in rows.columns]
    if any(header.count(name) != 1 for name in needed):
        raise UserError(f"{called}: it must have the {quoted(needed)} once; it has {', '.join(header)}")
    texts = rows.set_axis(header, axis=1).astype(object).where(rows.notna().to_numpy(), "").map(str)
    return drop_empty_rows(texts.set_axis(range(1, len(texts) + 1), axis=0))


def drop_empty_rows(rows: "pd.DataFrame") -> "pd.DataFrame":
    return rows[(rows != "").any(axis=1)]


def read_column(path: Path, name: str, called: str) -> list[str]:
    """Read one column of a table, a row at a time; see `read_table`.

    Raises:
        UserError: the table has no such column, or a row has nothing there.
    """
    if path.suffix.lower() in PARQUET:
        cells: Iterable[tuple[int, str]] = read_parquet(path, [name], called)[name].items()
    else:
        cells = iterate_column(path, name, called)
    column = []
    for line, cell in cells:
        if not cell.strip() or "\0" in cell:
            raise UserError(f"{called}: line {line} names nothing")
        column.append(cell)
    return column


def iterate_column(path: Path, name: str, called: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the cell of each row of a CSV that holds anything; see `read_table`."""
    encoding = detect_encoding(path)
    try:
        for delimiter in DELIMITERS:
            with path.open(encoding=encoding, newline="") as file:
                rows = csv.reader(file, delimiter=delimiter, strict=True)
                header = read_header(rows)
                if header.count(name) == 1:
                    yield from take_column(rows, header.index(name), len(header), called)
                    return
    except UnicodeDecodeError:
        decode_text(path, called)  # raises with the line
    read_table(path, [name], called)  # raises with the columns that are there


def take_column(rows: Iterator[list[str]], place: int, width: int, called: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the cell of each row behind the header that holds anything."""
    number = 1
    try:
        for number, cells in enumerate(rows, 2):
            if len(cells) > width:
                raise UserError(f"{called}: it is no CSV (Expected {width} fields in line {number}, saw {len(cells)})")
            if any(cells):
                yield number, cells[place] if place < len(cells) else ""
    except csv.Error as error:
        raise UserError(f"{called}: it is no CSV ({error}, after line {number})") from error


def decode_text(path: Path, called: str) -> str:
    """Decode a file by its first bytes.

    Raises:
        UserError: it is in another encoding.
    """
    content, encoding = path.read_bytes(), detect_encoding(path)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{called}: line {line} is not {encoding.upper()}; a spreadsheet writes that as 'CSV UTF-8'"
        ) from error


def detect_encoding(path: Path) -> str:
    """Return the encoding that the first bytes of a file name, or else UTF-8."""
    with path.open("rb") as file:
        begin = file.read(4)
    return next((name for mark, name in ENCODINGS.items() if begin.startswith(mark)), "utf-8")


def quoted(names: Sequence[str]) -> str:
    return f"column '{names[0]}'" if len(names) == 1 else "columns " + " and ".join(f"'{name}'" for name in names)


def shorten(names: Iterable[str], most: int = 20) -> list[str]:
    """Return the first names of a long list and the number of the others.

    >>> shorten(["a", "b", "c"], most=2)
    ['a', 'b', 'and 1 more']
    """
    names = list(names)
    return names if len(names) <= most else [*names[:most], f"and {len(names) - most} more"]
