"""Convert arrays, tensors and sparse matrices into sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from narrows.data.array_sources import DenseSource, SparseSource
from narrows.data.csr import checked_csr, checked_sparse
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["array_source", "needs_float64", "plain_array"]

_WHOLE = 1 << 24
"""The largest number up to which float32 represents all whole numbers."""


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
