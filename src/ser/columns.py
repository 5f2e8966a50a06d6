"""Arrow arrays that hold the fields of dataclasses."""

from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

import numpy as np
import pyarrow as pa

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


def fill(chunk: pa.Array | int, wanted: pa.DataType) -> pa.Array:
    """Return an array, or as many empty texts as a number says."""
    if isinstance(chunk, pa.Array):
        return chunk
    return to_type(pa.DictionaryArray.from_arrays(np.zeros(chunk, np.int32), [""]), wanted)
