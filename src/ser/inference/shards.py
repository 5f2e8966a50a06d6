"""Predictions in Parquet: a folder of shards, `part-00000.parquet` and so on, or one file that is made of them.

A shard is whole or absent. It ends with the first block of recordings that brings it to `ROWS` rows, so that an output
has the same shards whether it was interrupted or not.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ser.errors import UserError
from ser.files import remove, replacing, temporary_folder, write_errors_explained
from ser.inference.journal import ANEW, Journal
from ser.inference.output import Output
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import WindowPrediction
from ser.inference.target import Target, remove_shards

ROWS = 8192
"""Rows of a shard: 8192 recordings, or the windows of fewer."""
BUFFERED = 1024
"""Rows that are held as Python values; the others of an incomplete shard are held in Arrow."""


def schema_of(output_format: OutputFormat) -> pa.Schema:
    """Return the columns of the CSV: numbers in seconds and probabilities, texts, and null where there is nothing.

    Raises:
        UserError: Two columns have the same name.
    """
    names = output_format.header()
    if len(set(names)) < len(names):
        raise UserError(f"output: Parquet needs columns of different names, and these are {', '.join(names)}")
    texts = {"path", "emotion", "error", "warning", *(f"{name}: emotion" for name in output_format.checkpoints)}
    return pa.schema({name: pa.string() if name in texts else pa.float64() for name in names})


class Shards(Output):
    """The shards of an output, in the partial folder until the output is finished.

    Raises:
        UserError: The shards that are continued are not those of the journal.
    """

    def __init__(self, target: Target, output_format: OutputFormat, journal: Journal) -> None:
        super().__init__(journal)
        self.target, self.format, self.schema = target, output_format, schema_of(output_format)
        self.rows: list[list[Any]] = []
        self.tables: list[pa.Table] = []
        self.complete = 0
        """Rows of the incomplete shard up to the last complete block of recordings."""
        self.index, self.before = 0, 0
        """The number of full shards and of their rows."""
        self.saved = journal.done.predictions
        """The number of predictions in shards that are on the disk."""
        self.is_open = self.counts.predictions > 0
        if self.is_open:
            self.continue_shards(journal.done.size)

    def continue_shards(self, rows: int) -> None:
        """Find the first incomplete shard, and take its rows back; `rows` are complete in all shards together."""
        paths = sorted(path for path in self.target.partial.iterdir() if path.suffix == ".parquet")
        try:
            while self.index < len(paths) and ROWS <= (size := count_rows(paths[self.index])) <= rows:
                rows, self.before, self.index = rows - size, self.before + size, self.index + 1
            if rows and self.index < len(paths):
                self.tables = [pq.read_table(paths[self.index], schema=self.schema).slice(0, rows)]
                self.complete = len(self.tables[0])
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"resume=true: {paths[self.index]} cannot be read, and {ANEW}") from error
        if self.complete < rows:
            raise UserError(f"resume=true: {self.target.partial} lacks rows that were there, and {ANEW}")
        for path in paths[self.index + 1 :]:
            path.unlink()
        for path in self.target.partial.glob(".part-*.tmp"):
            remove(path)

    def add(self, window: WindowPrediction) -> None:
        self.open()
        self.rows.append(self.format.values(window))
        super().add(window)
        if len(self.rows) == BUFFERED:
            self.convert()

    def open(self) -> None:
        """Create the folder with the first prediction."""
        if not self.is_open:
            with write_errors_explained(self.target.path):
                self.journal.save()
                remove_shards(self.target.partial)
                self.target.partial.mkdir()
            self.is_open = True

    def convert(self) -> None:
        """Convert the buffered rows to Arrow."""
        if self.rows:
            columns = zip(zip(*self.rows, strict=True), self.schema.types, strict=True)
            arrays = [as_array(column, kind) for column, kind in columns]
            self.tables.append(pa.Table.from_arrays(arrays, schema=self.schema))
            self.rows = []

    def commit(self, names: Sequence[str]) -> None:
        self.complete = len(self.rows) + sum(map(len, self.tables))
        self.journal.record(names, self.before + self.complete)
        if self.complete >= ROWS or self.journal.is_due:
            self.save()

    def save(self) -> None:
        """Write the rows of complete blocks as a shard, which another call replaces unless it is full."""
        self.convert()
        if self.complete:
            shard = self.target.partial / f"part-{self.index:05d}.parquet"
            with write_errors_explained(self.target.path), replacing(shard) as temporary, temporary.open("wb") as file:
                pq.write_table(pa.concat_tables(self.tables).slice(0, self.complete), file)
                file.flush()
                os.fsync(file.fileno())
        if self.complete >= ROWS:
            self.before, self.index = self.before + self.complete, self.index + 1
            self.tables, self.complete = [], 0
        with write_errors_explained(self.target.path):
            self.journal.save()
        self.saved = self.journal.done.predictions

    def finish(self) -> None:
        self.target.check_meanwhile(self.journal.replaces)
        self.open()
        self.journal.replaces = True  # from here on the output may be there
        self.save()
        path, partial = self.target.path, self.target.partial
        with write_errors_explained(path):
            if self.target.is_folder:
                remove_shards(path)
                os.rename(partial, path)
            else:
                self.merge()
                with temporary_folder(path) as folder:  # gone at once, whatever interrupts the removal of its files
                    os.rename(partial, Path(folder) / "shards")
        self.journal.remove()

    def merge(self) -> None:
        """Write the shards into one file, a row group for each."""
        with replacing(self.target.path) as temporary, pq.ParquetWriter(temporary, self.schema) as writer:
            for shard in sorted(self.target.partial.glob("part-*.parquet")):
                writer.write_table(pq.read_table(shard, schema=self.schema))

    def close(self) -> None:
        if self.is_open and self.target.partial.exists():
            with suppress(UserError):  # a full disk: the last shard and the last journal stay
                self.save()

    @property
    def kept(self) -> str:
        return self.target.describe_kept(self.saved, self.journal)


def count_rows(shard: Path) -> int:
    return int(pq.read_metadata(shard).num_rows)


def as_array(column: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Convert the values of a column; a text that is no UTF-8 is escaped, as in a CSV."""
    if kind == pa.string():
        column = [None if text is None else text.encode("utf-8", "backslashreplace").decode() for text in column]
    return pa.array(column, kind)
