"""Arrays of every common kind, checked at the door and made sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from narrows.data.source import DenseSource, Source, SparseSource
from narrows.errors import InvalidData

__all__ = ["array_source", "checked_csr", "plain_array"]


def plain_array(x: Any) -> Any:
    """Return what scikit-learn's validation understands: tensors become numpy, CSR is checked."""
    if isinstance(x, torch.Tensor):
        if x.layout != torch.strided:
            raise InvalidData(
                f"X: a tensor of layout {x.layout} is not supported; give a scipy CSR matrix."
            )
        return x.detach().cpu().resolve_conj().resolve_neg().numpy()
    if sp.issparse(x) and x.format == "csr":
        return checked_csr(x)
    return x


def checked_csr(matrix: Any, origin: str = "X") -> Any:
    """Return a CSR matrix whose structure is sound, duplicates summed and indices sorted.

    The matrix passed in is never changed. A malformed one would crash the process further on.

    Raises
    ------
    InvalidData
        If an index is out of range, or indptr does not fit.
    """
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise InvalidData(f"{origin}: malformed CSR matrix: {error}.") from None
    # scipy caches these answers on the matrix, and a cached one may be stale: ask a fresh view
    fresh = type(matrix)((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    if not fresh.has_canonical_format:
        fresh = fresh.copy()
        fresh.sum_duplicates()
    return fresh


def array_source(x: Any) -> Source:
    """Return a validated 2-D array or CSR matrix as a source of bytes or float32.

    Values too large for float32 become infinite here and are found by the finite check.
    """
    if sp.issparse(x):
        with np.errstate(over="ignore"):
            data = x.data.astype(np.float32, copy=False)
        return SparseSource(sp.csr_array((data, x.indices, x.indptr), shape=x.shape))
    if x.dtype == np.uint8:
        return DenseSource(x)
    with np.errstate(over="ignore"):
        return DenseSource(x.astype(np.float32, copy=False))
