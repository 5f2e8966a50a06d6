"""Rows that are stored as columns.

A list of a million dataclass objects takes a gigabyte. `Rows` is a sequence of the same objects, of which each is made
when it is asked for; its columns are Arrow arrays, in memory or in a mapped file, and a part of it is an array of
indices.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ser.columns import arrow_type, concatenate, fill, list_fields, to_list, to_type

Row = TypeVar("Row")
Other = TypeVar("Other")
Indices = npt.NDArray[np.intp]

AT_ONCE = 10_000
"""Rows that exist as objects at a time, where all are gone through."""


def iterate_texts(column: pa.Array | pa.ChunkedArray) -> Iterator[str]:
    """Yield the values of an Arrow column; only some of them exist as texts at a time."""
    for start in range(0, len(column), AT_ONCE):
        yield from column.slice(start, AT_ONCE).to_pylist()


class Rows(Sequence[Row], Generic[Row]):
    """An immutable sequence of rows of one dataclass, whose fields are texts and numbers."""

    def __init__(self, kind: type[Row], columns: Mapping[str, pa.Array], index: Indices | None = None) -> None:
        """Take columns.

        Args:
            kind: the dataclass of a row.
            columns: arrays of equal length; a field without one has its default, or an empty text, in each row.
            index: `(rows,)` places in the columns; None: all of them in order.
        """
        self.kind, self._columns, self._index = kind, columns, index
        self._stored = len(next(iter(columns.values()))) if columns else 0

    @classmethod
    def of(cls, kind: type[Row], rows: Iterable[Row]) -> "Rows[Row]":
        """Store rows as columns; they are taken one after the other."""
        if isinstance(rows, Rows):
            return rows if rows.kind is kind else rows.cast(kind)
        builder = Builder(kind)
        for row in rows:
            builder.append(row)
        return builder.finish()

    def __len__(self) -> int:
        return self._stored if self._index is None else len(self._index)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> "Rows[Row]": ...

    def __getitem__(self, index: int | slice) -> "Row | Rows[Row]":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        place = range(len(self))[index]
        return next(iter(self.take(np.array([place]))))

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), AT_ONCE):
            some = slice(start, min(start + AT_ONCE, len(self)))
            names = list(self._columns)
            for values in zip(*(to_list(self._select(name, some)) for name in names), strict=True):
                yield self.kind(**{**self._missing, **dict(zip(names, values, strict=True))})

    def __eq__(self, other: object) -> bool:
        """Compare row by row, also with a list."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __add__(self, other: "Rows[Row]") -> "Rows[Row]":
        return Rows.join(self.kind, [self, other])

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {self.kind.__name__}>"

    @cached_property
    def _missing(self) -> dict[str, Any]:
        """Values of the fields without a column that have no default."""
        return {
            field.name: "" for field in list_fields(self.kind) if not self.has(field.name) and field.default is MISSING
        }

    def _select(self, name: str, some: slice = slice(None)) -> pa.Array:
        """Return a column, or a stretch of it."""
        column = self._columns[name]
        if self._index is not None:
            return column.take(pa.array(self._index[some]))
        start, stop, _ = some.indices(self._stored)
        return column.slice(start, stop - start)

    def has(self, name: str) -> bool:
        """Return whether a field has a column; without one all rows have the same value."""
        return name in self._columns

    def column(self, name: str) -> pa.Array:
        """Return the values of a field in order, `(rows,)`."""
        if self.has(name):
            return self._select(name)
        field = next(field for field in list_fields(self.kind) if field.name == name)
        default = self._missing.get(name, field.default)
        return to_type(pa.DictionaryArray.from_arrays(np.zeros(len(self), np.int32), [default]), arrow_type(field))

    def texts(self, name: str) -> pa.Array:
        """Return a field of text as Arrow strings with offsets of 64 bits, `(rows,)`."""
        return self.column(name).cast(pa.large_string())

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """Return a field of numbers, `(rows,)`."""
        numbers: npt.NDArray[Any] = self.column(name).to_numpy(zero_copy_only=False)
        return numbers

    def codes(self, name: str, key: Callable[[str], Any] | None = None) -> tuple[npt.NDArray[np.int32], list[str]]:
        """Return a field of text as numbers.

        Args:
            name: the field.
            key: orders the values; None: as texts are ordered.

        Returns:
            For each row the place of its value among the distinct values that occur, `(rows,)`, and these, sorted.
        """
        column = self.column(name)
        column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        indices = column.indices.to_numpy(zero_copy_only=False)
        present = np.flatnonzero(np.bincount(indices, minlength=len(column.dictionary)))
        values = column.dictionary.take(pa.array(present)).to_pylist()
        order = sorted(range(len(values)), key=lambda at: (key(values[at]) if key else "", values[at]))
        rank = np.zeros(len(column.dictionary), np.int32)
        rank[present[order]] = np.arange(len(order), dtype=np.int32)
        return rank[indices], [values[at] for at in order]

    def distinct(self, name: str) -> list[str]:
        """Return the values of a field of text that occur, sorted."""
        return self.codes(name)[1]

    def counts(self, name: str) -> dict[str, int]:
        """Return the number of rows of each value of a field of text, in the order of the values."""
        codes, values = self.codes(name)
        return dict(zip(values, np.bincount(codes, minlength=len(values)).tolist(), strict=True))

    def matches(self, name: str, values: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return which rows have one of some values in a field of text, `(rows,)`."""
        codes, known = self.codes(name)
        chosen = set(values)
        return np.array([value in chosen for value in known], dtype=bool)[codes] if known else np.zeros(0, dtype=bool)

    def take(self, places: Indices) -> "Rows[Row]":
        """Return the rows at some places; the columns are shared."""
        return Rows(self.kind, self._columns, places if self._index is None else self._index[places])

    def where(self, mask: npt.NDArray[np.bool_]) -> "Rows[Row]":
        """Return the rows for which a mask `(rows,)` is true."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def unique(self, name: str) -> "Rows[Row]":
        """Return the rows without those that have the same text in a field as an earlier one."""
        encoded = self.texts(name).dictionary_encode().indices.to_numpy(zero_copy_only=False)
        return self.take(np.sort(np.unique(encoded, return_index=True)[1]))

    def order(self, *keys: str | pa.Array | npt.NDArray[Any]) -> Indices:
        """Return the places of the rows, sorted by fields or by columns `(rows,)`; equal rows keep their order."""
        columns = [self.texts(key) if isinstance(key, str) else pa.array(key) for key in keys]
        names = [str(number) for number in range(len(columns))]
        table = pa.table([*columns, pa.array(np.arange(len(self)))], names=[*names, "place"])
        places = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in [*names, "place"]])
        order: Indices = places.to_numpy().astype(np.intp)
        return order

    def map(self, name: str, change: Callable[[str], str]) -> pa.Array:
        """Return a field of text with each distinct value changed, `(rows,)`."""
        codes, values = self.codes(name)
        return pa.DictionaryArray.from_arrays(codes, pa.array([change(value) for value in values], pa.string()))

    def replace(self, **columns: pa.Array) -> "Rows[Row]":
        """Return the rows with other values in some fields, each `(rows,)`."""
        kept = {name: self._select(name) for name in self._columns if name not in columns}
        types = {field.name: arrow_type(field) for field in list_fields(self.kind)}
        return Rows(self.kind, {**kept, **{name: to_type(column, types[name]) for name, column in columns.items()}})

    def cast(self, kind: type[Other]) -> "Rows[Other]":
        """Return the rows as those of another dataclass; fields that it lacks are dropped."""
        names = {field.name for field in list_fields(kind)}
        return Rows(kind, {name: column for name, column in self._columns.items() if name in names}, self._index)

    @classmethod
    def join(cls, kind: type[Row], parts: Sequence["Rows[Row]"]) -> "Rows[Row]":
        """Return the rows of several sequences, one after the other."""
        names = [field.name for field in list_fields(kind) if any(part.has(field.name) for part in parts)]
        return cls(kind, {name: concatenate([part.column(name) for part in parts]) for name in names})


class Builder(Generic[Row]):
    """Stores rows as columns, as they come."""

    def __init__(self, kind: type[Row]) -> None:
        self.kind, self._fields = kind, list_fields(kind)
        self._chunks: dict[str, list[pa.Array | int]] = {field.name: [] for field in self._fields}
        """Values of each field; a number stands for as many empty texts."""
        self._waiting: list[Row] = []

    def append(self, row: Row) -> None:
        """Add a row."""
        self._waiting.append(row)
        if len(self._waiting) >= AT_ONCE:
            self._store()

    def _store(self) -> None:
        for field in self._fields:
            values = [getattr(row, field.name) for row in self._waiting]
            if field.type is str and not any(values):
                self._chunks[field.name].append(len(values))
                continue
            stored = to_type(pa.array(values), arrow_type(field))
            # Two arrays as one are of the exact size; the buffers of an array from a list are of up to twice of it.
            self._chunks[field.name].append(pa.concat_arrays([stored, stored[:0]]))
        self._waiting.clear()

    def finish(self) -> Rows[Row]:
        """Return the rows; a column in which every text is empty is left out."""
        self._store()
        columns = {field.name: self._take_column(field) for field in self._fields}
        return Rows(self.kind, {name: column for name, column in columns.items() if column is not None})

    def finish_sorted(self, name: str) -> tuple[Rows[Row], Indices]:
        """Return the rows, sorted by a field, and their places in the order in which they came.

        One column at a time is copied, so that the unsorted ones are not in memory beside all sorted ones.
        """
        self._store()
        fields = sorted(self._fields, key=lambda field: field.name != name)
        columns, order = dict[str, pa.Array](), np.zeros(0, np.intp)
        for field in fields:
            if (column := self._take_column(field)) is not None:
                order = Rows(self.kind, {name: column}).order(name) if field.name == name else order
                columns[field.name] = column.take(pa.array(order))
        return Rows(self.kind, columns), order

    def _take_column(self, field: "Field[Any]") -> pa.Array | None:
        """Return a column and forget it; None if every text is empty and may be left out."""
        chunks = self._chunks.pop(field.name)
        if field.default is not MISSING and not any(isinstance(chunk, pa.Array) for chunk in chunks):
            return None
        return concatenate([fill(chunk, arrow_type(field)) for chunk in chunks])
