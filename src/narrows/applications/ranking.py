"""The rows of a base in order of their distance to queries, exactly and in bounded memory."""

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
from narrows.errors import InvalidData, UsageError

__all__ = ["Ranked", "distance_of", "ranked"]

_TILE = 16384
_SCORES = 1 << 24  # of a block of queries against the whole base: 64 MiB in float32
_MAX_BLOCK = 256
_SAMPLED = 16  # one row of so many gives a first bound on what is near


@dataclass(frozen=True)
class Ranked:
    """The nearest rows of queries ``first`` to ``first + q``.

    ``rows`` (q, w) by falling ``scores`` (q, w), equal scores by row number; w is at least the
    depth asked for, and all rows that tie with the one at that depth are among them. Places that
    nothing fills have the score -inf.
    """

    queries: slice
    rows: np.ndarray
    scores: Tensor


def distance_of(codes: Any) -> str:
    """Return "hamming" for packed bits (dense uint8), "cosine" for everything else."""
    packed = not sp.issparse(codes) and np.asarray(codes).dtype == np.uint8
    return "hamming" if packed else "cosine"


def ranked(
    queries: Any,
    base: Any,
    *,
    depth: int,
    reach: float = math.inf,
    leave_one_out: bool = False,
) -> Iterator[Ranked]:
    """Yield, in blocks of queries, the rows of the base nearest to them.

    The score is the cosine, in float32, of rows (n, width) that are dense or CSR (0 where a row
    is all zeros), or minus the Hamming distance, in bits, of packed bits (n, n_bytes) uint8.

    Every score is computed and compared with a bound, the score at a depth beyond the one asked
    for in a sample of the base; only what passes is sorted. A block where too little passes is
    sorted whole. Cost O(queries x base x width); memory under 1 GiB, however many
    queries there are.

    Parameters
    ----------
    depth : int
        How many rows a query at least; as many as the base has sorts all of them.
    reach : float
        Also all rows with a score of at least this.
    leave_one_out : bool
        The queries are the base, and no row is retrieved for itself.

    Raises
    ------
    InvalidData
        If the two have different kinds or widths, or values that are not finite.
    """
    scorer = _scorer(queries, base)
    n_queries, n_base = queries.shape[0], base.shape[0]
    if leave_one_out and n_queries != n_base:
        raise UsageError(
            "leave_one_out: the queries must be the base itself, got "
            f"{n_queries} queries and {n_base} rows."
        )
    # sorting a whole base takes about four times the memory of its scores
    room = _SCORES if depth < n_base // 4 else _SCORES // 4
    size = min(_MAX_BLOCK, max(1, room // max(n_base, 1)))
    for first in range(0, n_queries, size):
        block = _Block(scorer, slice(first, min(first + size, n_queries)), n_base, leave_one_out)
        yield block.nearest(depth, reach)


class _Block:
    """Some queries against all of the base, a tile of its rows at a time."""

    def __init__(self, scorer: _Scorer, queries: slice, n_base: int, leave_one_out: bool) -> None:
        self._scorer, self.queries, self._n_base = scorer, queries, n_base
        self._leave_one_out = leave_one_out

    def nearest(self, depth: int, reach: float) -> Ranked:
        bound = self._bound(depth)
        if bound is not None:
            found = self._above(np.minimum(bound, np.float32(reach)), depth)
            if found is not None:
                return found
        scores = np.concatenate([tile for _, tile in self._tiles()], axis=1)
        by_score = torch.from_numpy(scores).sort(dim=1, descending=True, stable=True)
        return Ranked(self.queries, by_score.indices.numpy(), by_score.values)

    def _bound(self, depth: int) -> np.ndarray | None:
        """Return scores (q,) that more than ``depth`` rows most likely reach, None for all."""
        expected = depth / _SAMPLED
        rank = math.ceil(expected + 4 * math.sqrt(expected)) + 1  # 4 standard deviations deeper
        if 4 * rank * _SAMPLED > self._n_base:
            return None
        sample = torch.from_numpy(self._scorer(self.queries, slice(0, self._n_base, _SAMPLED)))
        return sample.topk(rank, dim=1).values[:, -1].numpy()

    def _above(self, bound: np.ndarray, depth: int) -> Ranked | None:
        """Return the rows whose scores reach a bound (q,), None if they are too few."""
        who, rows, scores = [], [], []
        for start, tile in self._tiles():
            places = np.flatnonzero(tile >= bound[:, None])
            query, row = np.divmod(places, tile.shape[1])
            who.append(query)
            rows.append(row + start)
            scores.append(tile.ravel()[places])
        who = np.concatenate(who)
        counts = np.bincount(who, minlength=len(bound))
        if counts.min() < depth:
            return None
        order = np.argsort(who, kind="stable")  # by query, then by row
        place = np.arange(len(who)) - np.repeat(counts.cumsum() - counts, counts)
        shape = len(bound), int(counts.max())
        score_of = np.full(shape, -np.inf, np.float32)
        row_of = np.zeros(shape, np.int64)
        score_of[who[order], place] = np.concatenate(scores)[order]
        row_of[who[order], place] = np.concatenate(rows)[order]
        by_score = torch.from_numpy(score_of).sort(dim=1, descending=True, stable=True)
        nearest = np.take_along_axis(row_of, by_score.indices.numpy(), axis=1)
        return Ranked(self.queries, nearest, by_score.values)

    def _tiles(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield scores (q, tile), with the number of the tile's first row."""
        for start in range(0, self._n_base, _TILE):
            stop = min(start + _TILE, self._n_base)
            scores = self._scorer(self.queries, slice(start, stop))
            if self._leave_one_out:
                low, high = max(start, self.queries.start), min(stop, self.queries.stop)
                own = np.arange(low, max(low, high))
                scores[own - self.queries.start, own - start] = -np.inf
            yield start, scores


class _Scorer:
    """Scores (q, m) of some queries with some rows of the base: float32, C order."""

    def __init__(self, queries: Any, base: Any) -> None:
        self._queries, self._base = queries, base

    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        return (self._queries[queries] @ self._base[rows].T).numpy()


class _SparseScorer(_Scorer):
    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        # sparse times a few dense columns: several times faster than sparse times sparse
        few = np.ascontiguousarray(self._queries[queries].toarray().T)
        return np.ascontiguousarray((self._base[rows] @ few).T)


class _BitScorer(_Scorer):
    def __call__(self, queries: slice, rows: slice) -> np.ndarray:
        # |a xor b| = |a| + |b| - 2 a.b: whole numbers, exact in float32, at a product's speed
        ours, theirs = _unpacked(self._queries[queries]), _unpacked(self._base[rows])
        twice = (2 * ours) @ theirs.T
        return (twice - ours.sum(dim=1, keepdim=True) - theirs.sum(dim=1)).numpy()


def _unpacked(bits: np.ndarray) -> Tensor:
    return torch.from_numpy(np.unpackbits(bits, axis=1).astype(np.float32))


def _scorer(queries: Any, base: Any) -> _Scorer:
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
    return _Scorer(torch.from_numpy(ours), torch.from_numpy(theirs))


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
