"""Rank the rows of a base by their similarity to queries, exactly and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import norm as sparse_norm
from torch import Tensor

from narrows.data.csr import checked_csr
from narrows.errors import InvalidData

__all__ = ["Ranked", "distance_of", "ranked", "scorer_of", "unit_rows"]

_TILE = 16384
_SCORES = 1 << 24
"""Scores of a block of queries with the whole base: 64 MiB in float32."""

_MAX_BLOCK = 256
_SPARSE = 0.015
"""Queries with a smaller share of stored values are multiplied as sparse matrices."""

_SAMPLED = 16
"""One row in this many is scored first, for a bound on the scores of the nearest rows."""


@dataclass(frozen=True)
class Ranked:
    """The nearest rows of a block of q queries.

    ``rows`` (q, w) are sorted by falling ``scores`` (q, w), equal scores by row number. w is at
    least the requested depth, and all rows that tie with the one at that depth are included.
    Unfilled places have the score -inf.
    """

    queries: slice
    rows: np.ndarray
    scores: Tensor


def ranked(queries: Any, base: Any, *, depth: int) -> Iterator[Ranked]:
    """Yield the ``depth`` rows or more of the base nearest to each query, a block of queries each.

    The score is the cosine, in float32, of rows (n, width) that are dense or CSR (0 if a row is
    all zeros), or minus the Hamming distance, in bits, of packed bits (n, n_bytes) uint8.

    Every score is computed and compared with a bound, which comes from a sample of the base and
    lies a little beyond ``depth``; only the scores that reach it are sorted. A block in which too
    few do is sorted whole. Cost O(queries x base x width); memory under 1 GiB, however many
    queries there are.

    Raises
    ------
    InvalidData
        If queries and base have different kinds or widths, or values that are not finite.
    """
    scorer = scorer_of(queries, base)
    n_queries, n_base = queries.shape[0], base.shape[0]
    # sorting a whole base takes about four times the memory of its scores
    room = _SCORES if depth < n_base // 4 else _SCORES // 4
    size = min(_MAX_BLOCK, max(1, room // max(n_base, 1)))
    for first in range(0, n_queries, size):
        block = _Block(scorer, slice(first, min(first + size, n_queries)), n_base)
        yield block.nearest(depth)


class _Block:
    """A block of queries, scored with the whole base, a tile of its rows at a time."""

    def __init__(self, scorer: Scorer, queries: slice, n_base: int) -> None:
        self._scorer, self.queries, self._n_base = scorer, queries, n_base

    def nearest(self, depth: int) -> Ranked:
        for deviations in (4, 12):  # the first bound is too high for one query in 30,000
            bound = self._bound(depth, deviations)
            if bound is None:
                break
            found = self._above(bound, depth)
            if found is not None:
                return found
        scores = np.concatenate([tile for _, tile in self._tiles()], axis=1)
        by_score = torch.from_numpy(scores).sort(dim=1, descending=True, stable=True)
        return Ranked(self.queries, by_score.indices.numpy(), by_score.values)

    def _bound(self, depth: int, deviations: float) -> np.ndarray | None:
        """Return scores (q,) that most likely more than ``depth`` rows reach, or None for all."""
        expected = depth / _SAMPLED
        rank = math.ceil(expected + deviations * math.sqrt(expected)) + 1
        if 4 * rank * _SAMPLED > self._n_base:
            return None
        sample = torch.from_numpy(self._scorer(self.queries, slice(0, self._n_base, _SAMPLED)))
        return sample.topk(rank, dim=1).values[:, -1].numpy()

    def _above(self, bound: np.ndarray, depth: int) -> Ranked | None:
        """Return the rows whose scores reach a bound (q,), or None if they are too few."""
        query_of, rows, scores = [], [], []
        for start, tile in self._tiles():
            places = np.flatnonzero(tile >= bound[:, None])
            query, row = np.divmod(places, tile.shape[1])
            query_of.append(query)
            rows.append(row + start)
            scores.append(tile.ravel()[places])
        query_of = np.concatenate(query_of)
        counts = np.bincount(query_of, minlength=len(bound))
        if counts.min() < depth:
            return None
        order = np.argsort(query_of, kind="stable")  # by query, then by row
        place = np.arange(len(query_of)) - np.repeat(counts.cumsum() - counts, counts)
        shape = len(bound), int(counts.max())
        score_of = np.full(shape, -np.inf, np.float32)
        row_of = np.zeros(shape, np.int64)
        score_of[query_of[order], place] = np.concatenate(scores)[order]
        row_of[query_of[order], place] = np.concatenate(rows)[order]
        by_score = torch.from_numpy(score_of).sort(dim=1, descending=True, stable=True)
        nearest = np.take_along_axis(row_of, by_score.indices.numpy(), axis=1)
        return Ranked(self.queries, nearest, by_score.values)

    def _tiles(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each tile as (number of its first row, scores (q, tile))."""
        for start in range(0, self._n_base, _TILE):
            rows = slice(start, min(start + _TILE, self._n_base))
            yield start, self._scorer(self.queries, rows)


def distance_of(codes: Any) -> str:
    """Return "hamming" for packed bits (dense uint8), "cosine" for everything else."""
    packed = not sp.issparse(codes) and np.asarray(codes).dtype == np.uint8
    return "hamming" if packed else "cosine"


class Scorer:
    """Scores of q queries with m rows of the base, (q, m), float32 in C order: cosines."""

    def __init__(self, queries: Any, base: Any) -> None:
        self._queries, self._base = queries, base

    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        return (self._queries[queries] @ self._base[rows].T).numpy()


class _SparseScorer(Scorer):
    """Cosines of CSR rows."""

    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        # the same sums in either case; dense columns are faster unless they are nearly empty
        few, base = self._queries[queries], self._base[rows]
        if few.nnz < _SPARSE * few.shape[0] * few.shape[1]:
            return (few @ base.T).toarray()
        return np.ascontiguousarray((base @ np.ascontiguousarray(few.toarray().T)).T)


class _BitScorer(Scorer):
    """Minus the Hamming distances of packed bits."""

    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        # |a xor b| = |a| + |b| - 2 a.b: whole numbers, exact in float32, by one matrix product
        a, b = _unpacked(self._queries[queries]), _unpacked(self._base[rows])
        return ((2 * a) @ b.T - a.sum(dim=1, keepdim=True) - b.sum(dim=1)).numpy()


def _unpacked(bits: np.ndarray) -> Tensor:
    return torch.from_numpy(np.unpackbits(bits, axis=1).astype(np.float32))


def scorer_of(queries: Any, base: Any) -> Scorer:
    """Return the scorer for codes (n_queries, width) and (n_base, width).

    Raises
    ------
    InvalidData
        If the two are not of one kind, dense, CSR or packed bits, and of one width.
    """
    kinds = [(sp.issparse(codes), distance_of(codes)) for codes in (queries, base)]
    if kinds[0] != kinds[1]:
        raise InvalidData(
            "codes: queries and base must be of the same kind: both dense, both CSR, or both "
            "packed bits (uint8)."
        )
    if len(queries.shape) != 2 or len(base.shape) != 2 or queries.shape[1] != base.shape[1]:
        raise InvalidData(
            f"codes: queries and base must be (n, width) of the same width, got {queries.shape} "
            f"and {base.shape}."
        )
    if kinds[0][1] == "hamming":
        return _BitScorer(np.asarray(queries), np.asarray(base))
    a, b = _checked_unit_rows(queries, "queries"), _checked_unit_rows(base, "base")
    return _SparseScorer(a, b) if kinds[0][0] else Scorer(torch.from_numpy(a), torch.from_numpy(b))


def _checked_unit_rows(codes: Any, name: str) -> Any:
    """Return ``unit_rows`` of codes; raise InvalidData unless they are finite numbers."""
    codes = checked_csr(codes, name) if sp.issparse(codes) else np.asarray(codes)
    values = codes.data if sp.issparse(codes) else codes
    if values.dtype.kind not in "buif":
        raise InvalidData(f"{name}: codes must be numbers, got {values.dtype}.")
    if not np.isfinite(values).all():
        ends = codes.indptr if sp.issparse(codes) else np.arange(1 + len(codes)) * codes.shape[1]
        wrong = (~np.isfinite(values)).ravel().argmax()
        row = int(np.searchsorted(ends, wrong, side="right")) - 1
        raise InvalidData(f"{name}: codes must be finite, row {row} is not.")
    return unit_rows(codes)


def unit_rows(codes: Any) -> Any:
    """Return rows (n, width), dense or CSR, divided by their length, float32; zero rows stay."""
    # divide by the largest value first: squares of large ones overflow, of small ones vanish
    return _over_norm(_over_norm(codes.astype(np.float64), np.inf), 2).astype(np.float32)


def _over_norm(codes: Any, order: float) -> Any:
    """Return rows divided by their norm of some order, dense or CSR as they came."""
    lengths = (sparse_norm if sp.issparse(codes) else np.linalg.norm)(codes, order, axis=1)
    lengths = np.where(lengths > 0, lengths, 1)
    if not sp.issparse(codes):
        return codes / lengths[:, None]
    codes.data /= np.repeat(lengths, np.diff(codes.indptr))
    return codes
