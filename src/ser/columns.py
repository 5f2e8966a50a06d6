"""Arrow arrays that hold the fields of dataclasses."""

from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

LOOKED_UP = 2**17
"""Texts that are looked up at a time, whose table of hashes takes about 100 bytes each."""
TEXTS = pa.dictionary(pa.int32(), pa.string())
TYPES: dict[Any, pa.DataType] = {str: TEXTS, int: pa.int32(), float: pa.float64()}
"""Arrow types by the type of a field."""


def to_list(column: pa.Array) -> list[Any]:
    """Return an array without gaps as a list, several times faster than Arrow's `to_pylist`."""
    if pa.types.is_dictionary(column.type):
        values = column.dictionary.to_pylist()
        return [values[place] for place in column.indices.to_numpy(zero_copy_only=False).tolist()]
    cells: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return cells


def list_fields(kind: type[Any]) -> tuple["Field[Any]", ...]:
    """Return the fields of a dataclass."""
    return fields(kind)


def arrow_type(field: "Field[Any]") -> pa.DataType:
    """Return the type of the values of a field.

    A text with the metadata `distinct`, in which hardly two rows are alike, is stored as it is; of another the
    different values are stored once, and their places for each row.
    """
    return pa.large_string() if field.metadata.get("distinct") else TYPES[field.type]


def to_type(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Return a column in a type: texts as themselves or by their distinct values, numbers cast."""
    if isinstance(column, pa.ChunkedArray):
        column = concatenate(column.chunks)
    if pa.types.is_dictionary(wanted):
        # Encoded anew, since two values of a changed column may have become one.
        return column.cast(pa.string()).dictionary_encode()
    return column if column.type == wanted else column.cast(wanted)


def concatenate(chunks: Sequence[pa.Array]) -> pa.Array:
    """Return arrays of one type as one; the distinct values of texts are brought together."""
    if len(chunks) == 1:
        return chunks[0]
    joined = pa.chunked_array(chunks)
    joined = joined.unify_dictionaries() if pa.types.is_dictionary(joined.type) else joined
    return pa.concat_arrays(joined.chunks)


def match_texts(texts: pa.Array | pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the place of each text among others, which are distinct, `(texts,)`; -1 where it is not there."""
    starts = range(0, len(among), LOOKED_UP)
    if len(texts) == len(among) and all(stretch(texts, at).equals(stretch(among, at)) for at in starts):
        return np.arange(len(texts))  # the usual case
    found = np.full(len(texts), -1)
    for start in starts if len(texts) else ():
        places = np.asarray(pc.fill_null(pc.index_in(texts, value_set=stretch(among, start).cast(texts.type)), -1))
        found = np.where(places < 0, found, start + places)
    return found


def stretch(texts: pa.Array | pa.ChunkedArray, start: int) -> pa.Array:
    """Return `LOOKED_UP` texts from a place on."""
    some = texts.slice(start, LOOKED_UP)
    return (concatenate(some.chunks) if isinstance(some, pa.ChunkedArray) else some).cast(pa.large_string())


def fill(chunk: pa.Array | int, wanted: pa.DataType) -> pa.Array:
    """Return an array as it is, and for a number an array of that length whose texts are empty."""
    if isinstance(chunk, pa.Array):
        return chunk
    return to_type(pa.DictionaryArray.from_arrays(np.zeros(chunk, np.int32), [""]), wanted)
