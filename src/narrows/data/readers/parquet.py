"""Read Parquet tables of numbers, in memory or streamed by row groups."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.data.array_sources import array_source
from narrows.data.memory import check_memory
from narrows.data.readers.columns import Columns, LabelsAndIds, check_distinct, id_text
from narrows.data.readers.ids import DistinctIds, StreamedIds
from narrows.data.source import Source
from narrows.data.stream import StreamSource, file_digest
from narrows.errors import InvalidData, first_names

__all__ = ["ParquetStream", "named_cells", "open_parquet", "read_parquet"]

_PLACES = 8
"""Maximum number of places of a file that are read concurrently."""

_PLACES_BYTES = 64 << 20
_BUFFERED = 8 << 20

_INDEX = re.compile(r"__index_level_\d+__")
"""The name that pandas gives to an unnamed index that it writes as a column."""


class ParquetStream(StreamSource):
    """A streamed Parquet file; slices are read in turn from several places of it.

    A place is a row group, or a part of one if there are few row groups. To read a part, the rows
    before it in its row group are read and skipped.
    """

    def __init__(self, path: Path, names: list[str]) -> None:
        file = open_parquet(path)
        self._path = path
        self.origin = str(path)
        self.names = self._columns = names
        self.n_features = len(names)
        self._wide = _is_wide(file, names)
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        self.group_rows = [group.num_rows for group in groups]
        self.n_rows = sum(self.group_rows)
        # a page of every column of a place is in memory; the sizes in a file are not reliable
        largest = max((group.total_byte_size for group in groups), default=0)
        held = max(1, min(largest, len(names) << 20))
        self._side_by_side = max(2, min(_PLACES, _PLACES_BYTES // held))

    def _file_blocks(self) -> Iterator[Tensor]:
        for group, n_rows in enumerate(self.group_rows):
            for _, rows in self._group(group, 0, n_rows, self.block_rows):
                yield rows

    def _mixed(self, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        size = max(1, self.block_rows // _PLACES)
        places = self._places(size)
        order = torch.randperm(len(places), generator=generator).tolist()
        waiting = (
            self._group(group, start, stop, size)
            for group, start, stop in (places[place] for place in order)
        )
        opened = deque(islice(waiting, self._side_by_side))
        while opened:
            place = opened.popleft()
            found = next(place, None)
            if found is not None:
                yield found
                opened.append(place)
            else:
                opened.extend(islice(waiting, 1))

    def _places(self, size: int) -> list[tuple[int, int, int]]:
        """Return (number, start, stop) of row groups, or of parts of them in whole slices."""
        groups = [(group, rows) for group, rows in enumerate(self.group_rows) if rows]
        parts = -(-_PLACES // max(1, len(groups)))
        places = []
        for group, rows in groups:
            step = -(-rows // (parts * size)) * size
            places += [(group, at, min(at + step, rows)) for at in range(0, rows, step)]
        return places

    def _file_rows(self, numbers: Tensor) -> Tensor:
        picked, first = [torch.empty(0, self.n_features, dtype=self._float)], 0
        for group, n_rows in enumerate(self.group_rows):
            here = numbers[(numbers >= first) & (numbers < first + n_rows)]
            first += n_rows
            if len(here):  # skip row groups without these rows
                last = int(here[-1]) - (first - n_rows) + 1
                for found, rows in self._group(group, 0, last, self.block_rows):
                    inside = here[(here >= found[0]) & (here <= found[-1])] - found[0]
                    picked.append(rows[inside])
        return torch.cat(picked)

    def _group(
        self, group: int, start: int, stop: int, size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (numbers in the file, rows) from ``start`` to ``stop`` of a row group."""
        at = sum(self.group_rows[:group]) + start
        file = open_parquet(self._path, buffer_size=self._buffer_size())
        n_rows = self.group_rows[group]
        wanted = {"batch_size": size, "row_groups": [group]}
        wanted["dtype"] = np.float64 if self.double else np.float32
        for block in _matrices(file, self._path, n_rows, self._columns, start, stop, **wanted):
            yield torch.arange(at, at + len(block)), torch.from_numpy(block)
            at += len(block)

    def _buffer_size(self) -> int:
        """Return the number of bytes of a column to read ahead: some megabytes for all columns."""
        return max(4096, min(1 << 20, _BUFFERED // (self.n_features * self._side_by_side)))

    def fingerprint(self) -> str:
        return file_digest(self._path)


def read_parquet(
    path: Path,
    columns: Columns = Columns(),  # noqa: B008 -- frozen
    *,
    stream: bool | None = None,
) -> Source:
    """Return the source of a Parquet file; nulls are missing values (NaN).

    An index that pandas wrote, with or without a name, is not a feature.

    Raises
    ------
    InvalidData
        If the file is not Parquet, a feature column does not hold numbers, or one of ``columns``
        does not exist.
    """
    file = open_parquet(path)
    names = list(file.schema_arrow.names)
    check_distinct(names, str(path))
    chosen, index = {*columns.named, *columns.drop}, _index_of_pandas(file)
    names = [
        name for name in names if name in chosen or not (name in index or _INDEX.fullmatch(name))
    ]
    if columns:
        names = [names[i] for i in columns.features(names, str(path))]
    _check_columns(file, path, names)
    n_rows, n_features = file.metadata.num_rows, len(names)
    if n_rows < 1 or n_features < 1:
        raise InvalidData(f"{path}: no {'columns' if n_rows > 0 else 'rows'}.")
    # by rows times width, because total_byte_size in the footer is not reliable
    dtype = np.dtype(np.float64 if _is_wide(file, names) else np.float32)
    if check_memory(n_rows, n_features, dtype, str(path), stream=stream):
        return _streamed(ParquetStream(path, names), file, path, columns)
    table = np.empty((n_rows, n_features), dtype=dtype)
    first = 0
    for block in _matrices(file, path, n_rows, names, dtype=dtype):
        table[first : first + len(block)] = block
        first += len(block)
    source = array_source(table)
    source.names, source.origin = names, str(path)
    return _described(source, file, path, columns)


def _index_of_pandas(file: Any) -> set[str]:
    """Return the index columns named by pandas' metadata, or none if they cannot be read."""
    try:
        spec = json.loads((file.schema_arrow.metadata or {})[b"pandas"])
        # a range index is not a column, but described by an object
        return {name for name in spec["index_columns"] if isinstance(name, str)}
    except (KeyError, TypeError, ValueError, RecursionError):
        return set()


def _streamed(source: ParquetStream, file: Any, path: Path, columns: Columns) -> Source:
    """Return a stream with labels, and with ids that are read on demand."""
    name = columns.id
    if name is not None:
        distinct = DistinctIds(str(path), "row")
        for number, cells in enumerate(named_cells(file, path, [name])):
            distinct.add(id_text(cells[name], f"{path}, row {number}, column {name!r}"), number)
        distinct.finish()
        source.ids = StreamedIds(source.group_rows, partial(_ids_in, path, name))
    return _described(source, file, path, replace(columns, id=None))


def _ids_in(path: Path, column: str, groups: Sequence[int]) -> Iterator[str]:
    """Yield the ids in some row groups of a file."""
    for cells in named_cells(open_parquet(path), path, [column], groups):
        yield id_text(cells[column], f"{path}, column {column!r}")


def _described(source: Source, file: Any, path: Path, columns: Columns) -> Source:
    """Set the labels and ids of a source; return it."""
    if not columns.named:
        return source
    labels_and_ids = LabelsAndIds(columns, str(path), "row")
    for number, cells in enumerate(named_cells(file, path, columns.named)):
        labels_and_ids.add(cells, number)
    return labels_and_ids.apply_to(source)


def named_cells(
    file: Any,
    path: Path,
    names: Sequence[str],
    groups: Sequence[int] | None = None,
    *,
    batch_size: int = 65_536,
) -> Iterator[dict[str, Any]]:
    """Yield the cells of the named columns, row by row, from some row groups or all.

    Raises
    ------
    InvalidData
        If the file is damaged, or has other rows than its footer promises.
    """
    import pyarrow as pa

    # a float32 0.1 is written as 0.1, not as 0.10000000149
    single = {name for name in names if pa.types.is_float32(file.schema_arrow.field(name).type)}
    groups = range(file.metadata.num_row_groups) if groups is None else groups
    promised = sum(file.metadata.row_group(group).num_rows for group in groups)
    n_rows = 0
    with _damage_named(path):
        for batch in file.iter_batches(batch_size, row_groups=list(groups), columns=list(names)):
            columns = [batch.column(name) for name in names]
            n_rows += batch.num_rows
            if n_rows > promised:
                break
            # cell by cell: a dictionary may hold one long text for many rows
            for at in range(batch.num_rows):
                cells = {name: c[at].as_py() for name, c in zip(names, columns, strict=True)}
                for name in single:
                    if cells[name] is not None:
                        cells[name] = np.float32(cells[name])
                yield cells
    _check_n_rows(n_rows, promised, path)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Raise InvalidData, naming the file, for errors of pyarrow about damaged data."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{path}: damaged Parquet data: {error}.") from None


def _check_n_rows(n_rows: int, promised: int, path: Path) -> None:
    if n_rows != promised:
        raise InvalidData(f"{path}: the footer promises {promised} rows, the data have others.")


def open_parquet(
    path: Path, *, dictionary: list[str] | None = None, buffer_size: int = 1 << 16
) -> Any:
    """Return a pyarrow ParquetFile; the columns in ``dictionary`` store repeated values once.

    ``buffer_size`` bytes of each column are read at a time; pyarrow would read whole row groups.

    Raises
    ------
    InvalidData
        If the file is not Parquet, or a column name is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # without pre-buffering and mapping, memory is limited to pages of one row group
        file = pq.ParquetFile(
            path,
            read_dictionary=dictionary,
            pre_buffer=False,
            buffer_size=buffer_size,
            memory_map=False,
            page_checksum_verification=True,
        )
        _ = file.schema_arrow.names  # names are decoded here
        return file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InvalidData(f"{path}: not a Parquet file: {error}.") from None


def _check_columns(file: Any, path: Path, names: list[str]) -> None:
    import pyarrow.types as kinds

    others = [
        field
        for field in map(file.schema_arrow.field, names)
        if not (
            kinds.is_integer(field.type)
            or kinds.is_floating(field.type)
            or kinds.is_boolean(field.type)
        )
    ]
    if others:
        first = others[0]
        more = ""
        if len(others) > 1:
            called = first_names([repr(field.name) for field in others])
            more = f" ({len(others)} columns hold no numbers: {called})"
        raise InvalidData(
            f"{path}: column {first.name!r} holds {first.type}, not numbers{more}; leave such "
            "columns out by drop=."
        )


def _matrices(
    file: Any,
    path: Path,
    n_rows: int,
    names: list[str],
    start: int = 0,
    stop: int | None = None,
    *,
    dtype: Any = np.float32,
    **wanted: Any,
) -> Iterator[np.ndarray]:
    """Yield the rows of a file or row group, whose number must match the footer.

    With ``start`` and ``stop``, yield only the rows between them, and do not read what follows.
    """
    read = 0
    stop = n_rows if stop is None else stop
    with _damage_named(path):
        for batch in file.iter_batches(columns=names, **wanted):
            first = read
            read += batch.num_rows
            if read > n_rows:
                break
            inside = max(0, start - first), min(batch.num_rows, stop - first)
            if inside[0] < inside[1]:
                yield _matrix(batch.slice(inside[0], inside[1] - inside[0]), dtype)
            if read >= stop and stop < n_rows:
                return
    _check_n_rows(read, n_rows, path)


def _is_wide(file: Any, names: list[str]) -> bool:
    """Return whether a column has numbers wider than float32."""
    import pyarrow.types as kinds

    return any(
        kinds.is_float64(field.type)
        or (kinds.is_integer(field.type) and field.type.bit_width >= 32)
        for field in map(file.schema_arrow.field, names)
    )


def _matrix(batch: Any, dtype: Any) -> np.ndarray:
    """Return a record batch as (rows, columns)."""
    matrix = np.empty((batch.num_rows, batch.num_columns), dtype=dtype)
    with np.errstate(over="ignore"):
        for i, column in enumerate(batch.columns):
            matrix[:, i] = column.to_numpy(zero_copy_only=False)
    return matrix
