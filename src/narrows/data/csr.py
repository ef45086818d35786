"""Sparse matrices, checked at the door: a malformed one crashes the process further on."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

from narrows.errors import InvalidData

__all__ = ["checked_csr", "checked_sparse"]


def checked_sparse(matrix: Any, origin: str = "X") -> Any:
    """Return a sparse matrix of any format on the same memory, its structure found sound.

    The matrix passed in is never changed; scipy's own check would trim it.

    Raises
    ------
    InvalidData
        If an index is out of range or no integer, or indptr does not fit.
    """
    if matrix.ndim != 2:
        raise InvalidData(f"{origin}: expected 2 axes, got a sparse array of {matrix.ndim}.")
    if matrix.format not in ("bsr", "csc", "csr"):
        return matrix
    name = matrix.format.upper()
    for part in ("indices", "indptr"):
        dtype = getattr(matrix, part).dtype
        if dtype.kind != "i":
            raise InvalidData(
                f"{origin}: malformed {name} matrix: {part} must be signed integers, got {dtype}."
            )
    try:
        # a fresh one: scipy caches what it believes of a matrix, and a cached answer may be stale
        fresh = type(matrix)((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
        fresh.check_format(full_check=True)
    except ValueError as error:
        raise InvalidData(f"{origin}: malformed {name} matrix: {error}.") from None
    return fresh


def checked_csr(matrix: Any, origin: str = "X") -> Any:
    """Return a sparse matrix as sound CSR, duplicates summed and indices sorted.

    Raises
    ------
    InvalidData
        As ``checked_sparse``.
    """
    checked = checked_sparse(matrix, origin)
    fresh = checked if checked.format == "csr" else sp.csr_array(checked)
    if not fresh.has_canonical_format:
        fresh = fresh.copy()
        fresh.sum_duplicates()
    return fresh
