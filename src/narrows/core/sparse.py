"""Batches in compressed sparse rows, with products in O(non-zeros), not O(features)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional as F

from narrows._types import Batch, PerSample

__all__ = ["Rows", "SparseRows", "dense_rows", "padded", "stored_values"]


_BLOCK = 64
"""Columns summed at a time if a table is large and its rows are read often: 2,000 rows of 64
numbers stay in a core's own cache."""

_LARGE = 1 << 19
"""Size of a table, in numbers, that no longer fits such a cache."""

_READS = 32
"""Reads per row of a table from which copying it in blocks of columns pays off."""


@dataclass(frozen=True)
class SparseRows:
    """A batch in compressed sparse rows: the net's input if X is CSR.

    ``indptr`` (batch + 1,) and ``indices`` (nnz,) are integers of one dtype, ``values`` (nnz,)
    is float32. Duplicate indices within a row are not allowed.

    Examples
    --------
    >>> indptr, indices = torch.tensor([0, 2, 3]), torch.tensor([0, 2, 1])
    >>> x = SparseRows(indptr, indices, torch.tensor([1.0, 2.0, 3.0]), n_features=3)
    >>> x.to_dense()
    tensor([[1., 0., 2.],
            [0., 3., 0.]])
    >>> x.row_sums()
    tensor([3., 3.])
    """

    indptr: Tensor
    indices: Tensor
    values: Tensor
    n_features: int

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.indptr) - 1, self.n_features

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def row_of(self) -> Tensor:
        """Row number of every stored value, (nnz,)."""
        counts = self.indptr.diff()
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)

    def with_values(self, values: Tensor) -> SparseRows:
        """Return rows with other values in the same places."""
        rows = SparseRows(self.indptr, self.indices, values, self.n_features)
        if "row_of" in self.__dict__:  # computed once per batch
            rows.__dict__["row_of"] = self.row_of
        return rows

    def where(self, mask: Tensor) -> SparseRows:
        """Return the rows where ``mask``, bool (batch,), is True."""
        stored = mask[self.row_of]
        lengths = self.indptr.diff()[mask]
        indptr = torch.cat([self.indptr[:1] * 0, lengths.cumsum(0).to(self.indptr.dtype)])
        return SparseRows(indptr, self.indices[stored], self.values[stored], self.n_features)

    def times_rows(self, factor: PerSample) -> SparseRows:
        """Return every row multiplied by its factor, (batch,)."""
        return self.with_values(self.values * factor.index_select(0, self.row_of))

    def row_sums(self) -> PerSample:
        if not len(self.values):
            return self.values.new_zeros(len(self))
        return torch.segment_reduce(self.values, "sum", offsets=self.indptr)

    def matmul(self, dense: Tensor) -> Tensor:
        """Return x @ dense for ``dense`` (features, width): O(non-zeros x width)."""
        if dense.requires_grad and dense.device.type == "cpu" and not self.values.requires_grad:
            return _Product.apply(dense, self)  # pyright: ignore[reportReturnType]
        return self._weighted_sums(dense)

    def _weighted_sums(self, dense: Tensor) -> Tensor:
        few = dense.numel() < _LARGE or len(self.indices) < _READS * self.n_features
        if few or dense.is_cuda:
            return self._sums_of(dense)
        sums = dense.new_empty(len(self), dense.shape[1])
        for start in range(0, dense.shape[1], _BLOCK):
            columns = slice(start, start + _BLOCK)
            sums[:, columns] = self._sums_of(dense[:, columns].contiguous())
        return sums

    def _sums_of(self, dense: Tensor) -> Tensor:
        return F.embedding_bag(
            self.indices,
            dense,
            self.indptr,
            mode="sum",
            per_sample_weights=self.values,
            include_last_offset=True,
        )

    def transposed(self) -> SparseRows:
        """Return the transpose, (features, batch); on a CPU only."""
        parts = (self.values.numpy(), self.indices.numpy(), self.indptr.numpy())
        columns = sp.csr_array(parts, shape=self.shape).tocsc()
        by_feature = map(torch.from_numpy, (columns.indptr, columns.indices, columns.data))
        return SparseRows(*by_feature, n_features=len(self))

    def gather_sum(self, dense: Tensor) -> PerSample:
        """Return sum_j x_ij dense_ij per row, touching the stored values only."""
        # the gradient of index_select is a plain scatter, several times faster than that of pairs
        picked = dense.reshape(-1).index_select(0, self.places)
        return self.with_values(self.values * picked).row_sums()

    @property
    def places(self) -> Tensor:
        """Positions of the stored values in the flat dense batch, (nnz,)."""
        return self.row_of * self.n_features + self.indices

    def to(self, device: str | torch.device) -> SparseRows:
        if self.values.device == torch.device(device):
            return self
        return SparseRows(
            self.indptr.to(device), self.indices.to(device), self.values.to(device), self.n_features
        )

    def to_dense(self) -> Batch:
        dense = self.values.new_zeros(self.shape)
        dense[self.row_of, self.indices.long()] = self.values
        return dense


class _Product(torch.autograd.Function):
    """x @ dense, with the gradient as a product of the same kind, x^T @ gradient.

    torch's own gradient sorts all indices of a batch and takes four times as long.
    """

    @staticmethod
    def forward(ctx: Any, dense: Tensor, x: SparseRows) -> Tensor:
        ctx.x = x
        return x._weighted_sums(dense)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.x.transposed().matmul(grads[0].contiguous()), None


Rows = Tensor | SparseRows
"""A batch of samples: (batch, features), dense or sparse."""


@overload
def padded(x: Tensor, multiple: int) -> Tensor: ...
@overload
def padded(x: Rows, multiple: int) -> Rows: ...
def padded(x: Rows, multiple: int) -> Rows:
    """Append rows of zeros until the number of rows is a multiple of ``multiple``."""
    missing = -len(x) % multiple
    if not missing:
        return x
    if isinstance(x, SparseRows):
        indptr = torch.cat([x.indptr, x.indptr[-1:].expand(missing)])
        return SparseRows(indptr, x.indices, x.values, x.n_features)
    return F.pad(x, (0, 0, 0, missing))


def dense_rows(x: Rows) -> Tensor:
    """Return a batch as a dense tensor, (batch, features)."""
    return x.to_dense() if isinstance(x, SparseRows) else x


def stored_values(x: Rows) -> Tensor:
    """Return the values of a dense batch, (batch, features), or a sparse one's stored, (nnz,)."""
    return x.values if isinstance(x, SparseRows) else x
