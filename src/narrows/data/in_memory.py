"""A source back as one array or CSR matrix, for what needs all rows at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.core.slots import Rows, SparseRows
from narrows.data.array_sources import DenseSource, SparseSource
from narrows.data.readers._limits import check_memory
from narrows.data.source import Source

__all__ = ["joined", "rows_in_memory", "stacked"]

_BATCH = 65_536


def rows_in_memory(source: Source) -> Any:
    """Return all rows (n_rows, n_features) as the source's batches are, CSR where it is sparse.

    Raises
    ------
    ResourceError
        If dense rows would take more than half of the machine's memory.
    """
    if not source.sparse:
        dtype = np.dtype(np.float64 if source.double else np.float32)
        check_memory(source.n_rows, source.n_features, dtype, source.origin, stream=False)
    return joined(source.in_order(_BATCH))


def joined(batches: Iterable[Rows]) -> Any:
    """Return all rows of batches that are all dense or all sparse, one array or CSR matrix."""
    blocks = [_block(rows.to("cpu")) for rows in batches]
    if sp.issparse(blocks[0]):
        return sp.csr_array(sp.vstack(blocks, format="csr"))
    return np.concatenate(blocks)


def stacked(first: Source, second: Source) -> DenseSource | SparseSource:
    """Return the rows of both in one source that is described as the first."""
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
