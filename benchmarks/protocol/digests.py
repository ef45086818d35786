"""Digest rows, so that a held-out row is recognized wherever it turns up."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["row_digests"]


def _digest(*parts: bytes) -> int:
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return int.from_bytes(digest.digest(), "little", signed=True)


def row_digests(rows: Any) -> list[int]:
    """Return a 64-bit digest per row of texts, numbers of any shape, or a sparse matrix.

    Numbers are compared as float32, -0 as 0, and every NaN alike. The shape of a row counts only
    by its number of values: an image and its flattened row have the same digest.
    """
    if sparse.issparse(rows):
        matrix = sparse.csr_array(rows, copy=True)
        matrix.eliminate_zeros()
        matrix.sort_indices()
        indices, values = matrix.indices.astype(np.int64), matrix.data.astype(np.float32)
        return [
            _digest(indices[start:stop].tobytes(), values[start:stop].tobytes())
            for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
        ]
    if len(rows) and isinstance(rows[0], str):
        return [_digest(text.encode()) for text in rows]
    numbers = np.array(rows, dtype=np.float32).reshape(len(rows), -1) + np.float32(0)
    numbers[np.isnan(numbers)] = np.nan
    return [_digest(row.tobytes()) for row in numbers]
