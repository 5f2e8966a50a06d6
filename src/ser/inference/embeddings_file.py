"""The Parquet file of `ser predict embeddings=`, with one row for each recording or window."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from ser.errors import UserError
from ser.files import printable, replacing
from ser.inference.predictions import WindowPrediction

ROW_GROUP = 1024
"""Rows that are buffered before they are written: 4 MB for a large encoder."""


@contextmanager
def open_embeddings(target: Path | None, overwrite: bool) -> Iterator[Callable[[WindowPrediction], None]]:
    """Yield a function that writes the embedding of a prediction; without a target it does nothing.

    The file appears under its name when it is complete; an interrupted command leaves no file. Recordings without a
    prediction have no row.

    Raises:
        UserError: The disk is full, or another process has created the target meanwhile.
    """
    if target is None:
        yield lambda window: None
        return
    with replacing(target) as temporary:
        with EmbeddingsFile(temporary) as file:
            yield file.add
        if target.exists() and not overwrite:
            raise UserError(f"{target}: a file has appeared here meanwhile")


class EmbeddingsFile:
    """A Parquet file with the columns path, start, end, emotion and embedding, in row groups."""

    def __init__(self, path: Path) -> None:
        # Imported here because it takes a third of a second and few commands write embeddings.
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = {name: pa.float64() for name in ("start", "end")}
        self.schema = pa.schema(
            {"path": pa.string(), **numbers, "emotion": pa.string(), "embedding": pa.list_(pa.float32())}
        )
        self.writer = pq.ParquetWriter(path, self.schema)
        self.rows: list[dict[str, object]] = []

    def __enter__(self) -> "EmbeddingsFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.writer.close()

    def add(self, window: WindowPrediction) -> None:
        """Add a row; rows are written when their row group is complete."""
        if window.prediction is None:
            return
        assert window.prediction.embedding is not None
        self.rows.append(
            {
                "path": printable(window.name),
                "start": round(window.start, 3),
                "end": round(window.end, 3),
                "emotion": window.prediction.emotion,
                "embedding": window.prediction.embedding,
            }
        )
        if len(self.rows) == ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows as a row group."""
        import pyarrow as pa

        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, self.schema))
            self.rows.clear()
