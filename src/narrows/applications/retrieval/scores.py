"""Scores of codes with codes: cosines of numbers, Hamming distances of bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import norm as sparse_norm
from torch import Tensor

from narrows.data.csr import checked_csr
from narrows.errors import InvalidData

__all__ = ["Scorer", "distance_of", "scorer_of"]


def distance_of(codes: Any) -> str:
    """Return "hamming" for packed bits (dense uint8), "cosine" for everything else."""
    packed = not sp.issparse(codes) and np.asarray(codes).dtype == np.uint8
    return "hamming" if packed else "cosine"


class Scorer:
    """Scores (q, m) of some queries with some rows of the base: float32, C order."""

    def __init__(self, queries: Any, base: Any) -> None:
        self._queries, self._base = queries, base

    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        return (self._queries[queries] @ self._base[rows].T).numpy()


class _SparseScorer(Scorer):
    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        # sparse times a few dense columns: several times faster than sparse times sparse
        few = np.ascontiguousarray(self._queries[queries].toarray().T)
        return np.ascontiguousarray((self._base[rows] @ few).T)


class _BitScorer(Scorer):
    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        # |a xor b| = |a| + |b| - 2 a.b: whole numbers, exact in float32, at a product's speed
        ours, theirs = _unpacked(self._queries[queries]), _unpacked(self._base[rows])
        twice = (2 * ours) @ theirs.T
        return (twice - ours.sum(dim=1, keepdim=True) - theirs.sum(dim=1)).numpy()


def _unpacked(bits: np.ndarray) -> Tensor:
    return torch.from_numpy(np.unpackbits(bits, axis=1).astype(np.float32))


def scorer_of(queries: Any, base: Any) -> Scorer:
    """Return what scores codes (n_queries, width) against codes (n_base, width).

    Raises
    ------
    InvalidData
        If they are not of one kind, dense, CSR or packed bits, and of one width.
    """
    kinds = [(sp.issparse(codes), distance_of(codes)) for codes in (queries, base)]
    if kinds[0] != kinds[1]:
        raise InvalidData(
            "codes: queries and base must be of one kind: both dense, both CSR, or both packed "
            "bits (uint8)."
        )
    if len(queries.shape) != 2 or len(base.shape) != 2 or queries.shape[1] != base.shape[1]:
        raise InvalidData(
            f"codes: queries and base must be (n, width) of one width, got {queries.shape} and "
            f"{base.shape}."
        )
    if kinds[0][1] == "hamming":
        return _BitScorer(np.asarray(queries), np.asarray(base))
    ours, theirs = _unit_rows(queries, "queries"), _unit_rows(base, "base")
    if kinds[0][0]:
        return _SparseScorer(ours, theirs)
    return Scorer(torch.from_numpy(ours), torch.from_numpy(theirs))


def _unit_rows(codes: Any, name: str) -> Any:
    """Return rows of length 1 in float32; rows of zeros stay."""
    codes = checked_csr(codes, name) if sp.issparse(codes) else np.asarray(codes)
    values = codes.data if sp.issparse(codes) else codes
    if values.dtype.kind not in "buif":
        raise InvalidData(f"{name}: codes must be numbers, got {values.dtype}.")
    if not np.isfinite(values).all():
        ends = codes.indptr if sp.issparse(codes) else np.arange(1 + len(codes)) * codes.shape[1]
        wrong = (~np.isfinite(values)).ravel().argmax()
        row = int(np.searchsorted(ends, wrong, side="right")) - 1
        raise InvalidData(f"{name}: codes must be finite, row {row} is not.")
    # by the largest value first: squares of large ones overflow, of small ones vanish
    return _over(_over(codes.astype(np.float64), np.inf), 2).astype(np.float32)


def _over(codes: Any, order: float) -> Any:
    """Return rows divided by their norm of some order, in their own kind."""
    lengths = (sparse_norm if sp.issparse(codes) else np.linalg.norm)(codes, order, axis=1)
    lengths = np.where(lengths > 0, lengths, 1)
    if not sp.issparse(codes):
        return codes / lengths[:, None]
    codes.data /= np.repeat(lengths, np.diff(codes.indptr))
    return codes
