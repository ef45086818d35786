"""Parquet: a table of numeric columns, in memory or streamed row group by row group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narrows.data.arrays import array_source
from narrows.data.readers._limits import check_memory, file_digest
from narrows.data.readers.columns import Beside, Columns
from narrows.data.source import Source
from narrows.data.stream import StreamSource
from narrows.errors import InvalidData

__all__ = ["ParquetStream", "open_parquet", "read_parquet"]

_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls an index without a name that it writes as a column."""


class ParquetStream(StreamSource):
    """A Parquet file streamed; its units are row groups, its blocks slices of them.

    Row groups are visited in a random order and shuffled within the pool: a file of one huge
    row group is shuffled only as far as the pool reaches.
    """

    def __init__(self, path: Path, names: list[str]) -> None:
        file = open_parquet(path)
        self._path = path
        self.origin = str(path)
        self.names = self._columns = names
        self.n_features = len(names)
        groups = range(file.metadata.num_row_groups)
        # an empty group held out would leave nothing to validate on
        self._unit_rows = [file.metadata.row_group(group).num_rows for group in groups]
        self._use_units(torch.tensor([i for i, rows in enumerate(self._unit_rows) if rows]))

    def _blocks(self, unit: int) -> Iterator[np.ndarray]:
        wanted = {"batch_size": self.block_rows, "row_groups": [unit]}
        file, n_rows = open_parquet(self._path), self._unit_rows[unit]
        yield from _matrices(file, self._path, n_rows, self._columns, **wanted)

    def fingerprint(self) -> str:
        return file_digest(self._path)


def read_parquet(
    path: Path,
    columns: Columns = Columns(),  # noqa: B008 -- frozen
    *,
    stream: bool | None = None,
) -> Source:
    """Return the source of a Parquet file; nulls are missing values (NaN).

    Raises
    ------
    InvalidData
        If the file is no Parquet file, a column of features does not hold numbers, or one of
        ``columns`` is not there.
    """
    file = open_parquet(path)
    names = list(file.schema_arrow.names)
    if len(set(names)) < len(names):
        raise InvalidData(f"{path}: a column name stands twice.")
    asked = {*columns.named, *columns.drop}
    names = [name for name in names if name in asked or not _INDEX.fullmatch(name)]
    if columns:
        names = [names[i] for i in columns.features(names, str(path))]
    _check_columns(file, path, names)
    n_rows, n_features = file.metadata.num_rows, len(names)
    if n_rows < 1 or n_features < 1:
        raise InvalidData(f"{path}: no {'columns' if n_rows > 0 else 'rows'}.")
    # rows times width is the guard: total_byte_size in the footer is whatever the writer said
    if check_memory(n_rows, n_features, np.dtype(np.float32), str(path), stream=stream):
        return _described(ParquetStream(path, names), file, path, columns)
    table = np.empty((n_rows, n_features), dtype=np.float32)
    first = 0
    for block in _matrices(file, path, n_rows, names):
        table[first : first + len(block)] = block
        first += len(block)
    source = array_source(table)
    source.names, source.origin = names, str(path)
    return _described(source, file, path, columns)


def _described(source: Source, file: Any, path: Path, columns: Columns) -> Source:
    """Give a source what the columns say that are no features; return it."""
    import pyarrow as pa

    if not columns.named:
        return source
    # 0.1 is 0.1 in float32
    single = {n for n in columns.named if pa.types.is_float32(file.schema_arrow.field(n).type)}
    beside, n_rows = Beside(columns, str(path), "row"), 0
    try:
        for batch in file.iter_batches(columns=list(dict.fromkeys(columns.named))):
            for row in batch.to_pylist():
                told = {n: np.float32(v) if n in single and v is not None else v
                        for n, v in row.items()}  # fmt: skip
                beside.take(told, n_rows)
                n_rows += 1
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{path}: damaged Parquet data: {error}.") from None
    if n_rows != file.metadata.num_rows:
        named = ", ".join(map(repr, columns.named))
        raise InvalidData(f"{path}: the footer promises other rows than column {named} has.")
    return beside.describe(source)


def open_parquet(path: Path, *, dictionary: list[str] | None = None) -> Any:
    """Return a pyarrow ParquetFile; the columns of ``dictionary`` keep repeated values once.

    Raises
    ------
    InvalidData
        If it is no Parquet file, or its columns have no names in UTF-8.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # unbuffered and single-file: memory stays with one row group's pages
        file = pq.ParquetFile(
            path,
            read_dictionary=dictionary,
            pre_buffer=False,
            memory_map=False,
            page_checksum_verification=True,
        )
        _ = file.schema_arrow.names  # decoded only now
        return file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InvalidData(f"{path}: not a Parquet file: {error}.") from None


def _check_columns(file: Any, path: Path, names: list[str]) -> None:
    import pyarrow.types as kinds

    for field in map(file.schema_arrow.field, names):
        if not (
            kinds.is_integer(field.type)
            or kinds.is_floating(field.type)
            or kinds.is_boolean(field.type)
        ):
            raise InvalidData(
                f"{path}: column {field.name!r} holds {field.type}, not numbers; drop it first."
            )


def _matrices(
    file: Any, path: Path, n_rows: int, names: list[str], **wanted: Any
) -> Iterator[np.ndarray]:
    """Yield the rows of a file or a row group, which must be as many as its footer says."""
    import pyarrow as pa

    read = 0
    try:
        for batch in file.iter_batches(columns=names, **wanted):
            read += batch.num_rows
            if read > n_rows:
                break
            if batch.num_rows:
                yield _matrix(batch)
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{path}: damaged Parquet data: {error}.") from None
    if read != n_rows:
        raise InvalidData(f"{path}: the footer promises {n_rows} rows, the data have others.")


def _matrix(batch: Any) -> np.ndarray:
    """Return a record batch as (rows, columns) float32."""
    matrix = np.empty((batch.num_rows, batch.num_columns), dtype=np.float32)
    with np.errstate(over="ignore"):
        for i, column in enumerate(batch.columns):
            matrix[:, i] = column.to_numpy(zero_copy_only=False)
    return matrix
