"""Validate CSR matrices, because a malformed one can crash the process."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

from narrows.errors import InvalidData

__all__ = ["checked_csr", "checked_sparse"]


def checked_sparse(matrix: Any, origin: str = "X") -> Any:
    """Return a new sparse matrix on the same memory, after checking its structure.

    The input is not modified; scipy's own check would trim it.

    Raises
    ------
    InvalidData
        If an index is out of range or not an integer, or indptr is inconsistent.
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
        # a new matrix: scipy caches properties of a matrix, which may be stale
        fresh = type(matrix)((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
        fresh.check_format(full_check=True)
    except ValueError as error:
        raise InvalidData(f"{origin}: malformed {name} matrix: {error}.") from None
    return fresh


def checked_csr(matrix: Any, origin: str = "X") -> Any:
    """Return a sparse matrix as checked CSR, with duplicates summed and indices sorted.

    Raises
    ------
    InvalidData
        See ``checked_sparse``.
    """
    checked = checked_sparse(matrix, origin)
    fresh = checked if checked.format == "csr" else sp.csr_array(checked)
    if not fresh.has_canonical_format:
        fresh = fresh.copy()
        fresh.sum_duplicates()
    return fresh
