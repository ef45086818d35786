"""Sources in memory: made of arrays, tensors and CSR matrices, and turned back into arrays."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Generator, Tensor

from narrows.core.slots import Labeled
from narrows.core.sparse import Rows, SparseRows
from narrows.data.csr import checked_csr, checked_sparse
from narrows.data.memory import check_memory
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = [
    "DenseSource",
    "SparseSource",
    "array_source",
    "as_tensor",
    "joined",
    "needs_float64",
    "plain_array",
    "rows_in_memory",
    "sparse_rows",
    "stacked",
]

_WHOLE = 1 << 24
"""The largest number up to which float32 represents all whole numbers."""

_BATCH = 65_536


def plain_array(x: Any) -> Any:
    """Convert ``x`` to an array that scikit-learn can validate, without losing information.

    Tensors become numpy arrays, sparse matrices are checked, and masked values become NaN.

    Raises
    ------
    InvalidData
        If the layout of a tensor is unsupported, or a sparse matrix is malformed.
    """
    if isinstance(x, torch.Tensor):
        if x.layout != torch.strided:
            raise InvalidData(
                f"X: a tensor of layout {x.layout} is not supported; give a scipy CSR matrix."
            )
        x = x.detach().cpu().resolve_conj().resolve_neg()
        # numpy has no bfloat16
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    if sp.issparse(x):
        return checked_csr(x) if x.format == "csr" else checked_sparse(x)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        return np.ma.filled(x.astype(np.float64), np.nan)
    return x


def array_source(x: Any) -> Source:
    """Return a source for a validated 2-D array or CSR matrix.

    Bytes, float32 and float64 are not converted. Other numbers become float32, or float64 if they
    are whole numbers that float32 would round. Values too large for float32 become infinite, which
    a later check finds. CSR values become float32, because scaling does not shift them.
    """
    if sp.issparse(x):
        with np.errstate(over="ignore"):
            data = x.data.astype(np.float32, copy=False)
        return SparseSource(sp.csr_array((data, x.indices, x.indptr), shape=x.shape))
    if x.dtype in (np.uint8, np.float32, np.float64):
        return DenseSource(x)
    return DenseSource(x.astype(np.float64 if needs_float64(x) else np.float32))


def needs_float64(x: np.ndarray) -> bool:
    """Return whether float32 would round numbers: float64, or whole numbers above 2^24."""
    if x.dtype.kind == "f":
        return x.dtype.itemsize > 4
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 4 or not x.size:
        return False
    return int(x.max()) > _WHOLE or int(x.min()) < -_WHOLE


def as_tensor(array: Tensor | np.ndarray) -> Tensor:
    """Return a tensor that shares memory with the array if torch allows it, else a copy."""
    if isinstance(array, Tensor):
        return array
    # torch supports neither negative strides nor those of fields in records
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        # avoid torch's warning about writes to read-only memory: nothing here writes to it
        flags = array.__array_interface__
        view = np.asarray(_Unlocked(flags, array))
        return torch.from_numpy(view)
    return torch.from_numpy(array)


class _Unlocked:
    """The memory of an array, with an array interface that claims to be writable."""

    def __init__(self, interface: dict, owner: np.ndarray) -> None:
        address, _ = interface["data"]
        self.__array_interface__ = {**interface, "data": (address, False)}
        self._owner = owner


class _InMemory(Source):
    """A source in memory, which can gather any rows; ``_rows`` restricts it to a subset."""

    holds_targets = True
    _rows: Tensor | None = None

    @abstractmethod
    def _gather(self, rows: Tensor) -> Rows: ...

    @abstractmethod
    def _slice(self, start: int, stop: int) -> Rows: ...

    @abstractmethod
    def _subset(self, rows: Tensor) -> _InMemory: ...

    def at(self, positions: Tensor) -> Rows:
        return self._gather(positions if self._rows is None else self._rows[positions])

    def in_order(self, batch_size: int) -> Iterator[Rows]:
        for start in range(0, self.n_rows, batch_size):
            stop = min(start + batch_size, self.n_rows)
            if self._rows is None:
                yield self._slice(start, stop)
            else:
                yield self._gather(self._rows[start:stop])

    def shuffled(
        self, batch_size: int, *, generator: Generator, start: int = 0
    ) -> Iterator[Rows | Labeled]:
        order = torch.randperm(self.n_rows, generator=generator)
        for batch in order[start * batch_size :].split(batch_size):
            if len(batch):  # an empty tensor splits into one empty piece
                rows = self.at(batch)
                y = None if self.targets is None else self.targets[batch]
                weights = None if self.weights is None else self.weights[batch]
                yield rows if y is None and weights is None else Labeled(rows, y, weights)

    def where(self, mask: Tensor) -> _InMemory:
        # ascending, so that a gather walks through memory in one direction
        return self.subset(mask.nonzero()[:, 0])

    def subset(self, positions: Tensor) -> _InMemory:
        """Return the rows with these numbers, in that order, with metadata, y and weights."""
        part = self._subset(positions if self._rows is None else self._rows[positions])
        part.copy_metadata(self)
        part.targets = None if self.targets is None else self.targets[positions]
        part.weights = None if self.weights is None else self.weights[positions]
        return part

    def _taken(self, positions: Tensor) -> _InMemory:
        return self.subset(positions)

    def sample(self, n_rows: int, *, generator: Generator) -> Rows:
        if n_rows >= self.n_rows:
            return next(self.in_order(self.n_rows))
        return self.at(torch.randperm(self.n_rows, generator=generator)[:n_rows].sort().values)


class DenseSource(_InMemory):
    """A dense array (n_rows, n_features) of bytes, float32 or float64, which is not copied."""

    _array: Tensor

    def __init__(self, array: Tensor | np.ndarray, *, rows: Tensor | None = None) -> None:
        self._array = as_tensor(array)
        self._rows = rows
        self.n_rows = len(self._array) if rows is None else len(rows)
        self.n_features = self._array.shape[1]
        self.kind = "image" if self._array.dtype == torch.uint8 else "table"

    def in_float64(self) -> DenseSource:
        source = copy(self)
        source.double = self._array.dtype == torch.float64
        return source

    def in_float32(self) -> DenseSource:
        source = copy(self)
        source.double = False
        if self._array.dtype == torch.float64:
            source._array = self._array.float()
        return source

    def _gather(self, rows: Tensor) -> Tensor:
        return self._cast(self._array.index_select(0, rows))

    def _slice(self, start: int, stop: int) -> Tensor:
        return self._cast(self._array[start:stop])

    def _cast(self, rows: Tensor) -> Tensor:
        return rows if self.double else rows.float()

    def _subset(self, rows: Tensor) -> DenseSource:
        part = DenseSource(self._array, rows=rows)
        part.double = self.double
        return part

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"dense {self.n_rows} {self.n_features}".encode())
        for batch in self.in_order(65536):
            assert isinstance(batch, Tensor)
            digest.update(np.ascontiguousarray(batch.numpy()).data)
        return digest.hexdigest()


class SparseSource(_InMemory):
    """A CSR matrix (n_rows, n_features), which is never densified as a whole."""

    sparse = True

    def __init__(self, matrix: Any, *, rows: Tensor | None = None) -> None:
        self._matrix: Any = matrix if rows is not None else sp.csr_array(checked_csr(matrix))
        self._rows = rows
        self.n_rows = self._matrix.shape[0] if rows is None else len(rows)
        self.n_features = self._matrix.shape[1]

    def _gather(self, rows: Tensor) -> SparseRows:
        return sparse_rows(self._matrix[rows.numpy()])

    def _slice(self, start: int, stop: int) -> SparseRows:
        # views; a slice by scipy would copy
        matrix = self._matrix
        indptr = matrix.indptr[start : stop + 1]
        stored = slice(indptr[0], indptr[-1])
        return SparseRows(
            as_tensor(indptr - indptr[0]),
            as_tensor(matrix.indices[stored]),
            as_tensor(matrix.data[stored].astype(np.float32, copy=False)),
            self.n_features,
        )

    def _subset(self, rows: Tensor) -> SparseSource:
        return SparseSource(self._matrix, rows=rows)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"csr {self.n_rows} {self.n_features}".encode())
        for batch in self.in_order(65536):
            assert isinstance(batch, SparseRows)
            for part in (batch.indptr, batch.indices, batch.values):
                digest.update(np.ascontiguousarray(part.numpy()).data)
        return digest.hexdigest()


def sparse_rows(matrix: Any) -> SparseRows:
    """Return a scipy CSR matrix as a sparse batch."""
    return SparseRows(
        as_tensor(matrix.indptr),
        as_tensor(matrix.indices),
        as_tensor(matrix.data.astype(np.float32, copy=False)),
        matrix.shape[1],
    )


def rows_in_memory(source: Source) -> Any:
    """Return all rows (n_rows, n_features) as one array, or as CSR if the source is sparse.

    Raises
    ------
    ResourceError
        If dense rows need more than half of the machine's memory.
    """
    if not source.sparse:
        dtype = np.dtype(np.float64 if source.double else np.float32)
        check_memory(source.n_rows, source.n_features, dtype, source.origin, stream=False)
    return joined(source.in_order(_BATCH))


def joined(batches: Iterable[Rows]) -> Any:
    """Concatenate batches, all dense or all sparse, into one array or CSR matrix."""
    blocks = [_block(rows.to("cpu")) for rows in batches]
    if sp.issparse(blocks[0]):
        return sp.csr_array(sp.vstack(blocks, format="csr"))
    return np.concatenate(blocks)


def stacked(first: Source, second: Source) -> DenseSource | SparseSource:
    """Return one source with the rows of both, and the metadata of the first."""
    rows = [rows_in_memory(source.in_float64()) for source in (first, second)]
    both: DenseSource | SparseSource
    if first.sparse or second.sparse:
        both = SparseSource(sp.csr_array(sp.vstack([sp.csr_array(part) for part in rows])))
    else:
        both = DenseSource(np.concatenate(rows))
    both.copy_metadata(first)
    return both


def _block(rows: Any) -> Any:
    if not isinstance(rows, SparseRows):
        return rows.numpy()
    parts = (rows.values.numpy(), rows.indices.numpy(), rows.indptr.numpy())
    return sp.csr_array(parts, shape=rows.shape)
