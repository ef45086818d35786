"""Vectors beside the codes: a shortlist by code is put in order by their cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import UsageError
from narrows.indexing.float_index import check_vectors, unit_rows
from narrows.indexing.settings import Settings

__all__ = ["by_cosine", "check_beside"]


def check_beside(vectors: Any, n: int, settings: Settings) -> NDArray[Any]:
    """Return vectors (n, vector_width) of length 1 in the dtype that is kept.

    Raises
    ------
    UsageError
        If they are missing, of another shape, not finite, or the index keeps none.
    """
    width, dtype = settings.vector_width, settings.vector_dtype
    if width == 0 and vectors is not None:
        raise UsageError(
            "vectors: this index keeps none to re-rank by; make it with rerank (--rerank), or "
            "create it with vector_width."
        )
    if width == 0:
        return np.empty((n, 0), dtype=dtype)
    if vectors is None:
        raise UsageError(f"vectors: this index keeps {width} numbers a row; give them.")
    table = check_vectors(vectors, width, "vectors")
    if len(table) != n:
        raise UsageError(f"vectors: must be as many as codes, got {len(table)} for {n}.")
    return unit_rows(table).astype(dtype)


def by_cosine(
    query: NDArray[Any], vectors: NDArray[Any], distances: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the order of ``vectors`` (n, width) by (cosine, distance, place), and the cosines.

    Sums are made row by row in float64, so equal vectors are tied, whatever stands beside them.
    """
    cosines = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    return np.lexsort((np.arange(len(cosines)), distances, -cosines)), cosines
