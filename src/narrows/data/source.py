"""Define Source, the interface of all data that is read in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from math import prod
from typing import Any, Self

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.core.slots import Labeled
from narrows.core.sparse import Rows, dense_rows
from narrows.data.memory import check_result_fits
from narrows.errors import UsageError

__all__ = [
    "Source",
    "dense_rows_at_a_time",
    "drawn_by_weight",
    "evenly_spaced",
    "evenly_spaced_rows",
    "identity_of",
    "is_from_file",
    "n_batches",
    "place_in",
    "rows_at",
    "rows_at_a_time",
    "with_image_shape",
    "with_targets",
]

_AT_A_TIME = 1 << 23
"""Number of values of dense rows processed at a time: 32 MiB."""


class Source(ABC):
    """Rows that are read batch by batch, in order or shuffled.

    Attributes
    ----------
    n_rows, n_features : int
    kind : {"image", "table"}
        "image" if every value is a byte of brightness, 0 to 255.
    sparse : bool
    names : list of str or None
        Column names.
    image_shape : tuple of int or None
        Height, width and, in color, channels of a row.
    resize : (height, width) or None
        The size that images were resized to as they were read.
    vocabulary : Vocabulary or None
        The words, if features are counts of words.
    unknown_shares : ndarray of float or None
        The share of each text's words that are not in the vocabulary, (n_rows,).
    labels : ndarray of str or None
        Labels in the file, (n_rows,); only of the source as it was read, not of its parts.
    ids : ndarray of str, StreamedIds or None
        Names of the rows, (n_rows,), from the file or folder; likewise. Those of a streamed file
        are read on demand.
    lines : ndarray of int or None
        The line of a text file, counted from 1, on which each row ends, (n_rows,); likewise.
    origin : str
        The name of this source in messages: a file, or "X".
    targets : Tensor or None
        y of every row, in order; shuffled batches are then Labeled.
    weights : Tensor or None
        The weight of every row in a loss, float32 (n_rows,), with or without y; shuffled batches
        are then Labeled. None if all rows count equally.
    holds_targets : bool
        Whether this kind of source can hold y and weights: it can if rows are in memory.
    units_checked : bool
        Whether the units of these rows were already compared with those of a model.
    double : bool
        Whether batches are float64, for columns whose variance float32 would round away.
    """

    n_rows: int
    n_features: int
    kind: str = "table"
    sparse: bool = False
    names: list[str] | None = None
    image_shape: tuple[int, ...] | None = None
    resize: tuple[int, int] | None = None
    vocabulary: Any = None
    unknown_shares: np.ndarray | None = None
    labels: np.ndarray | None = None
    ids: Any = None
    lines: np.ndarray | None = None
    origin: str = "X"
    targets: Tensor | None = None
    weights: Tensor | None = None
    holds_targets: bool = False
    units_checked: bool = False
    double: bool = False

    def in_float64(self) -> Self:
        """Return the same rows in float64 batches if the data are wider than float32."""
        return self

    def in_float32(self) -> Self:
        """Return the same rows in float32 batches; data in memory are cast once."""
        return self

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Rows]:
        """Yield batches in order, float32, or float64 if ``double``."""

    @abstractmethod
    def shuffled(
        self, batch_size: int, *, generator: Generator, start: int = 0
    ) -> Iterator[Rows | Labeled]:
        """Yield one epoch of shuffled batches; the last batch may be short.

        ``start`` skips that many batches of the same order.
        """

    @abstractmethod
    def where(self, mask: Tensor) -> Source:
        """Return the rows for which ``mask``, bool (n_rows,), is True, in order, with their y."""

    @abstractmethod
    def sample(self, n_rows: int, *, generator: Generator) -> Rows:
        """Return at most ``n_rows`` rows drawn without replacement, as one batch."""

    @abstractmethod
    def at(self, positions: Tensor) -> Rows:
        """Return the rows with these ascending numbers, counted from 0."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a SHA-256 of the content, by which resuming a training detects changed data."""

    def targets_in_order(self) -> Tensor | None:
        """Return y in the order of ``in_order``, or None."""
        return self.targets

    def labeled(self, y: Tensor | None) -> Self:
        """Return a copy of this source with these targets, in order."""
        labeled = copy(self)
        labeled.targets = y
        return labeled

    def weighted(self, weights: Tensor | None) -> Self:
        """Return a copy of this source with these weights, in order."""
        weighted = copy(self)
        weighted.weights = weights
        return weighted

    # The interface of an array, to inspect the data.

    def __len__(self) -> int:
        return self.n_rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_rows, n_features), or (n_rows, height, width[, channels]) of images."""
        of_row = self.image_shape
        whole = of_row is not None and prod(of_row) == self.n_features
        return (self.n_rows, *of_row) if whole and of_row else (self.n_rows, self.n_features)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """uint8 for images, else float32, or float64 if the data are wider than float32."""
        if self.kind == "image":
            return np.dtype(np.uint8)
        return np.dtype(np.float64 if self.in_float64().double else np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows, dense, of ``shape`` and ``dtype``.

        Raises
        ------
        ResourceError
            If they need more memory than is available.
        """
        if copy is False:
            raise ValueError("the array of a Source is always a copy; give copy=None.")
        check_result_fits((self.n_rows, self.n_features), self.origin, "take fewer rows, X[:1000]")
        whole = np.empty((self.n_rows, self.n_features), self.dtype)
        first = 0
        for rows in self.in_float64().in_order(rows_at_a_time(self, 1024)):
            whole[first : first + len(rows)] = dense_rows(rows).numpy()
            first += len(rows)
        return whole.reshape(self.shape).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, rows: Any) -> Any:
        """Return one row as an array, or several rows as a Source with their labels and ids.

        ``rows`` is a number, a slice, or an array of numbers or booleans; for a streamed source the
        numbers must be ascending.

        Raises
        ------
        IndexError
            If a row does not exist, or ``rows`` has another type.
        UsageError
            If rows of a streamed source are not in ascending order.
        """
        numbers = np.array(np.arange(self.n_rows)[rows])
        if numbers.ndim == 0:
            (row,) = dense_rows(self.in_float64().at(torch.from_numpy(numbers[None]))).numpy()
            return row.reshape(self.shape[1:]).astype(self.dtype, copy=False)
        if numbers.ndim != 1:
            raise IndexError(f"{self.origin}: rows are taken by one index, got {rows!r:.60}.")
        part = self._taken(torch.from_numpy(numbers))
        part.labels = None if self.labels is None else self.labels[numbers]
        part.ids = None if self.ids is None else self.ids[numbers]
        return part

    def _taken(self, positions: Tensor) -> Source:
        """Return the rows with these numbers, in any order if they are in memory."""
        if len(positions) > 1 and not bool((positions.diff() > 0).all()):
            raise UsageError(
                f"{self.origin}: is streamed, so its rows must be taken in ascending order; read "
                "it with stream=False, or sort the numbers."
            )
        mask = torch.zeros(self.n_rows, dtype=torch.bool)
        mask[positions] = True
        return self.where(mask)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.origin}: {self.n_rows} rows of {self.n_features})"

    def copy_metadata(self, other: Source) -> Source:
        """Copy the metadata of another source, not its rows, y or weights; return self."""
        self.kind, self.names, self.origin = other.kind, other.names, other.origin
        self.image_shape, self.vocabulary = other.image_shape, other.vocabulary
        self.resize = other.resize
        return self


def with_targets(source: Source, batch_size: int) -> Iterator[tuple[Rows, Tensor | None]]:
    """Yield batches in order, each with its y, or None."""
    y = source.targets_in_order()
    first = 0
    for rows in source.in_order(batch_size):
        yield rows, None if y is None else y[first : first + len(rows)]
        first += len(rows)


def rows_at_a_time(source: Source, most: int) -> int:
    """Return the number of rows to process at a time without gradients, at most ``most``."""
    return most if source.sparse else dense_rows_at_a_time(most, source.n_features)


def dense_rows_at_a_time(most: int, n_features: int) -> int:
    """Return the number of dense rows to process at a time: ``most``, or fewer if they are long.

    It is a multiple of 16. The maps of a convolutional net are several times as long as the rows.
    """
    return max(16, min(most, _AT_A_TIME // n_features // 16 * 16))


def n_batches(source: Source, batch_size: int) -> int:
    """Return the number of batches in which the rows are read."""
    return -(-source.n_rows // batch_size)


def identity_of(source: Source) -> dict[str, Any]:
    """Return JSON values that must be equal to resume a training: the ``fingerprint`` and the
    names of the columns, if any."""
    return {"data": source.fingerprint()} | ({"names": source.names} if source.names else {})


def is_from_file(source: Source) -> bool:
    """Return whether the rows come from a file, not from an argument of a function."""
    return not source.origin.isidentifier()


def place_in(source: Source, row: int, column: int | None = None) -> str:
    """Return a description of a row, or of a cell, for error messages.

    A row is described by its line in a text file, else by its number, counted from 0; a column
    by its name, else by its number.
    """
    at = f"row {row}" if source.lines is None else f"line {source.lines[row]}"
    if column is None:
        return at
    name = repr(source.names[column]) if source.names else None
    if source.lines is not None:
        return f"{at}, column {name or column}"
    return f"{at}, column {column}{f' ({name})' if name else ''}"


def with_image_shape(source: Source, image_shape: tuple[int, int, int]) -> Source:
    """Return the same rows as images with this height, width and number of channels."""
    height, _, channels = image_shape
    if (*(source.image_shape or ()), 1)[:3] == image_shape or height == 1:
        return source  # rows one pixel high are drawn as profiles
    shaped = copy(source)
    shaped.image_shape = image_shape if channels > 1 else image_shape[:2]
    return shaped


def drawn_by_weight(source: Source, n_rows: int, *, generator: Generator) -> Rows:
    """Return ``n_rows`` rows drawn with replacement, by their weights, in order.

    This serves computations that do not support weights.
    """
    assert source.weights is not None
    totals = source.weights.double().cumsum(0)
    at = torch.rand(n_rows, generator=generator, dtype=torch.float64) * totals[-1]
    drawn = torch.searchsorted(totals, at, right=True).clamp_max(source.n_rows - 1)
    return source.at(drawn.sort().values)


def rows_at(source: Source, numbers: np.ndarray) -> Tensor:
    """Return the rows with these numbers, in any order and with repeats, dense float32."""
    rising, place = np.unique(np.asarray(numbers, dtype=np.int64), return_inverse=True)
    return dense_rows(source.at(torch.from_numpy(rising))).float()[torch.from_numpy(place)]


def evenly_spaced(n_rows: int, wanted: int) -> Tensor:
    """Return at most ``wanted`` evenly spaced row numbers."""
    n = min(wanted, n_rows)
    return torch.arange(n) * n_rows // max(n, 1)


def evenly_spaced_rows(source: Source, wanted: int) -> Rows:
    """Return at most ``wanted`` evenly spaced rows, in order, as one batch."""
    return source.at(evenly_spaced(source.n_rows, wanted))
