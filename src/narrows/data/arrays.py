"""Arrays of every common kind, checked at the door and made sources."""

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
"""float32 holds whole numbers exactly up to this."""


def plain_array(x: Any) -> Any:
    """Return what scikit-learn's validation understands, nothing of it lost on the way.

    Tensors become numpy, sparse matrices are checked, masked values become NaN.

    Raises
    ------
    InvalidData
        If a tensor or a sparse matrix cannot be read.
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
    """Return a validated 2-D array or CSR matrix as a source.

    Bytes, float32 and float64 stay as they are. Other numbers become float32, or float64 where
    they are whole and float32 would round them. Values too large for float32 are found by the
    finite check. CSR values, which no scaling shifts, become float32.
    """
    if sp.issparse(x):
        with np.errstate(over="ignore"):
            data = x.data.astype(np.float32, copy=False)
        return SparseSource(sp.csr_array((data, x.indices, x.indptr), shape=x.shape))
    if x.dtype in (np.uint8, np.float32, np.float64):
        return DenseSource(x)
    return DenseSource(x.astype(np.float64 if needs_float64(x) else np.float32))


def needs_float64(x: np.ndarray) -> bool:
    """Return whether numbers are wider than float32: float64, or whole ones above 2^24."""
    if x.dtype.kind == "f":
        return x.dtype.itemsize > 4
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 4 or not x.size:
        return False
    return int(x.max()) > _WHOLE or int(x.min()) < -_WHOLE
