"""Tables that a user brings: CSV as spreadsheets and programs write it, and Parquet."""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
ROWS_AT_A_TIME = 10_000
"""Rows that are cells of text at a time."""


def read_table(path: Path, needed: Sequence[str], called: str) -> "pd.DataFrame":
    """Read a table as texts; see `read_parts`.

    Raises:
        UserError: the file cannot be read as a table, or lacks a column.
    """
    import pandas as pd

    return pd.concat(read_parts(path, needed, called))


def read_parts(path: Path, needed: Sequence[str], called: str) -> Iterator["pd.DataFrame"]:
    """Read a table as texts, some rows at a time.

    Args:
        path: a CSV in UTF-8 or UTF-16, with columns divided by a comma, a semicolon or a tab; or a Parquet file.
        needed: names of columns, in small letters, that must be there once.
        called: what the file is called in errors, such as `audio=list.csv`.

    Yields:
        The rows that hold anything, indexed by their line (of a Parquet file: their row from 1), with an empty text
        where a cell is empty; at least one part, which may be empty. The names of columns are in small letters,
        without spaces around them.

    Raises:
        UserError: the file cannot be read as a table, or lacks a column.
    """
    if path.suffix.lower() in PARQUET:
        yield from read_parquet(path, needed, called)
        return
    encoding = find_encoding(path)
    with decoding_explained(path, encoding, called):
        headers = {delimiter: read_header(path, encoding, delimiter) for delimiter in DELIMITERS}
        for delimiter, header in headers.items():
            if all(header.count(name) == 1 for name in needed):
                for rows in parse(path, encoding, delimiter, called):
                    yield drop_empty_rows(rows.set_axis(header, axis=1))
                return
    found = max(headers.values(), key=len)
    raise UserError(
        f"{called}: its first line must name the {quoted(needed)} once, and columns are divided by , or ; or a tab; it "
        f"has {', '.join(shorten(found)) or 'nothing'}"
    )


def read_header(path: Path, encoding: str, delimiter: str) -> list[str]:
    """Return the names of columns in the first line."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            cells = next(csv.reader(file, delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


def parse(path: Path, encoding: str, delimiter: str, called: str) -> Iterator["pd.DataFrame"]:
    """Parse a CSV into cells of text, indexed by line, without its first one."""
    import pandas as pd

    try:
        with (
            path.open(encoding=encoding, newline="") as file,
            pd.read_csv(
                file,
                sep=delimiter,
                header=None,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                engine="python",  # reports what it cannot parse, and takes the line ends of every system
                chunksize=ROWS_AT_A_TIME,
            ) as parts,
        ):
            for rows in parts:
                lines = rows.fillna("").set_axis(rows.index + 1, axis=0)
                yield lines.iloc[1:] if rows.index[0] == 0 else lines
    except (pd.errors.ParserError, csv.Error) as error:
        raise UserError(f"{called}: it is no CSV ({' '.join(str(error).split())})") from error


def read_parquet(path: Path, needed: Sequence[str], called: str) -> Iterator["pd.DataFrame"]:
    """Read a Parquet file as texts; see `read_parts`."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{called}: it is no Parquet file ({' '.join(str(error).split())[:200]})") from error
    for place, column in enumerate(table.columns):
        if pa.types.is_integer(column.type) and column.null_count:  # as pandas does, whichever rows have a gap
            table = table.set_column(place, table.schema.names[place], column.cast(pa.float64()))
    for start in range(0, max(1, len(table)), ROWS_AT_A_TIME):
        rows = table.slice(start, ROWS_AT_A_TIME).to_pandas()
        header = [str(name).strip().lower() for name in rows.columns]
        if any(header.count(name) != 1 for name in needed):
            raise UserError(f"{called}: it must have the {quoted(needed)} once; it has {', '.join(header)}")
        texts = rows.set_axis(header, axis=1).astype(object).where(rows.notna().to_numpy(), "").map(str)
        yield drop_empty_rows(texts.set_axis(range(start + 1, start + len(texts) + 1), axis=0))


def drop_empty_rows(rows: "pd.DataFrame") -> "pd.DataFrame":
    return rows[(rows != "").any(axis=1)]


def read_column(path: Path, name: str, called: str) -> list[str]:
    """Read one column of a table, a row at a time; see `read_table`.

    Raises:
        UserError: the table has no such column, or a row has nothing there.
    """
    column = []
    for rows in read_parts(path, [name], called):
        for line, cell in rows[name].items():
            if not cell.strip() or "\0" in cell:
                raise UserError(f"{called}: line {line} names nothing")
            column.append(cell)
    return column


def find_encoding(path: Path) -> str:
    """Return the encoding of a file by its first bytes."""
    with path.open("rb") as file:
        start = file.read(max(map(len, ENCODINGS)))
    return next((name for mark, name in ENCODINGS.items() if start.startswith(mark)), "utf-8")


@contextmanager
def decoding_explained(path: Path, encoding: str, called: str) -> Iterator[None]:
    """Turn the error of a file in another encoding into one line.

    Raises:
        UserError: the file is in another encoding.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        content = path.read_bytes()
        try:
            content.decode(encoding)
            line = 1
        except UnicodeDecodeError as whole:
            line = content[: whole.start].count(b"\n") + 1
        raise UserError(
            f"{called}: line {line} is not {encoding.upper()}; a spreadsheet writes that as 'CSV UTF-8'"
        ) from error


def quoted(names: Sequence[str]) -> str:
    return f"column '{names[0]}'" if len(names) == 1 else "columns " + " and ".join(f"'{name}'" for name in names)


def shorten(names: Iterable[str], most: int = 20) -> list[str]:
    """Return the first names of a long list and the number of the others.

    >>> shorten(["a", "b", "c"], most=2)
    ['a', 'b', 'and 1 more']
    """
    names = list(names)
    return names if len(names) <= most else [*names[:most], f"and {len(names) - most} more"]
