"""Count held-out rows that are exact copies of training rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from narrows.core.sparse import Rows, SparseRows
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.errors import CopiesWarning, warn

__all__ = ["count_copies", "too_many_copies", "warn_of_copies"]

_VALUES = 1 << 20
"""Number of values of dense rows hashed at a time."""

_MIN_SHARE, _MIN_COPIES = 0.05, 5


def warn_of_copies(rows: Split) -> int:
    """Return the number of held-out rows that copy training rows; warn if there are many.

    Rows of zeros, and empty rows, do not count.
    """
    if rows.held_out is None:
        return 0
    copies, n = count_copies(rows.training, rows.held_out), rows.held_out.n_rows
    if too_many_copies(copies, n):
        warn(
            f"{copies} of the {n} held-out rows are exact copies of training rows, so their "
            "errors, early stopping and p-values are too good for new rows: drop the "
            "copies, keep copies together by groups=, or give validation_data=.",
            CopiesWarning,
        )
    return copies


def too_many_copies(copies: int, n_rows: int) -> bool:
    """Return whether at least five rows, and more than one in twenty, are copies.

    Fewer rows may be equal by chance if few values are possible.
    """
    return copies >= _MIN_COPIES and copies > _MIN_SHARE * n_rows


def count_copies(training: Source, held_out: Source) -> int:
    """Return the number of held-out rows that are equal to a training row.

    Rows are compared by 64-bit hashes, which take 8 bytes per row and one pass over each source;
    as float64 if both sources are float64, else as float32.
    """
    wide = [source.in_float64() for source in (training, held_out)]
    if all(source.double for source in wide):
        training, held_out = wide
    hashes = np.concatenate(list(_hashes(held_out)))
    found = np.zeros(len(hashes), dtype=bool)
    for block in _hashes(training):
        found |= np.isin(hashes, block)
    return int((found & (hashes != 0)).sum())


def _hashes(source: Source) -> Iterator[np.ndarray]:
    """Yield the hashes of rows, uint64, in blocks; the hash of a row of zeros is 0."""
    odd = np.random.default_rng(0).integers(1 << 63, size=source.n_features, dtype=np.uint64)
    odd = (odd << np.uint64(1)) | np.uint64(1)
    for rows in source.in_order(max(1, min(1 << 16, _VALUES // source.n_features))):
        yield _hashed(rows, odd)


def _hashed(rows: Rows, odd: np.ndarray) -> np.ndarray:
    sparse = isinstance(rows, SparseRows)
    values = (rows.values if sparse else rows).numpy().astype(np.float64) + 0.0  # -0 is 0
    bits = np.ascontiguousarray(values).view(np.uint64)
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(31)
    if not sparse:
        return (bits * odd).sum(axis=1, dtype=np.uint64)
    terms = bits * odd[rows.indices.numpy()]
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    edges = rows.indptr.numpy()
    return total[edges[1:]] - total[edges[:-1]]
