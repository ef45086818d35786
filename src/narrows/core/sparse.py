"""A batch in compressed sparse rows, and its products: O(non-zeros), not O(features)."""

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
"""Columns of a table that are summed at once where it is large and each of its rows is read often:
2,000 rows of 64 numbers stay in a core's own cache."""

_LARGE = 1 << 19
"""Numbers in a table that is larger than such a cache."""

_READS = 32
"""Reads of a row from which copying its table in blocks of columns is worth it."""


@dataclass(frozen=True)
class SparseRows:
    """A batch in compressed sparse rows: what reaches the net where X is CSR.

    ``indptr`` (batch + 1,) and ``indices`` (nnz,) are integers of one dtype, ``values`` (nnz,)
    is float32. Duplicate indices within a row are not allowed.
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
        """The row number of every stored value, shape (nnz,)."""
        counts = self.indptr.diff()
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)

    def with_values(self, values: Tensor) -> SparseRows:
        """Return other values in the same places."""
        rows = SparseRows(self.indptr, self.indices, values, self.n_features)
        if "row_of" in self.__dict__:  # found once a batch
            rows.__dict__["row_of"] = self.row_of
        return rows

    def where(self, mask: Tensor) -> SparseRows:
        """Return the rows at which ``mask``, bool (batch,), is True."""
        stored = mask[self.row_of]
        lengths = self.indptr.diff()[mask]
        indptr = torch.cat([self.indptr[:1] * 0, lengths.cumsum(0).to(self.indptr.dtype)])
        return SparseRows(indptr, self.indices[stored], self.values[stored], self.n_features)

    def times_rows(self, factor: PerSample) -> SparseRows:
        """Return every row times its factor, (batch,)."""
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
        """Return the same values by feature, (features, batch), on a CPU."""
        parts = (self.values.numpy(), self.indices.numpy(), self.indptr.numpy())
        columns = sp.csr_array(parts, shape=self.shape).tocsc()
        by_feature = map(torch.from_numpy, (columns.indptr, columns.indices, columns.data))
        return SparseRows(*by_feature, n_features=len(self))

    def gather_sum(self, dense: Tensor) -> PerSample:
        """Return sum_j x_ij dense_ij per row, touching the stored values only."""
        # index_select backs up to a plain scatter, several times faster than indexing by pairs
        picked = dense.reshape(-1).index_select(0, self.places)
        return self.with_values(self.values * picked).row_sums()

    @property
    def places(self) -> Tensor:
        """Where the stored values are in the flat dense batch, shape (nnz,)."""
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
    """x @ dense. Its gradient is a product of the same kind, of x by feature: torch's own sorts
    all indices of a batch and takes four times as long."""

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
    """Return a batch with rows of zeros below it, to a whole ``multiple`` of rows."""
    missing = -len(x) % multiple
    if not missing:
        return x
    if isinstance(x, SparseRows):
        indptr = torch.cat([x.indptr, x.indptr[-1:].expand(missing)])
        return SparseRows(indptr, x.indices, x.values, x.n_features)
    return F.pad(x, (0, 0, 0, missing))


def dense_rows(x: Rows) -> Tensor:
    """Return a batch as a plain tensor, (batch, features)."""
    return x.to_dense() if isinstance(x, SparseRows) else x


def stored_values(x: Rows) -> Tensor:
    """Return the values of a batch, (batch, features), of a sparse one those stored, (nnz,)."""
    return x.values if isinstance(x, SparseRows) else x
