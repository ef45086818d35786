"""The rows of a base in order of their distance to queries, exactly and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.applications.retrieval.scores import Scorer, scorer_of
from narrows.errors import UsageError

__all__ = ["Ranked", "ranked"]

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
    sorted whole in the end. Cost O(queries x base x width); memory under 1 GiB, however many
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
    scorer = scorer_of(queries, base)
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

    def __init__(self, scorer: Scorer, queries: slice, n_base: int, leave_one_out: bool) -> None:
        self._scorer, self.queries, self._n_base = scorer, queries, n_base
        self._leave_one_out = leave_one_out

    def nearest(self, depth: int, reach: float) -> Ranked:
        for deviations in (4, 12):  # a second, lower bound for the one query in 30,000
            bound = self._bound(depth, deviations)
            if bound is None:
                break
            found = self._above(np.minimum(bound, np.float32(reach)), depth)
            if found is not None:
                return found
        scores = np.concatenate([tile for _, tile in self._tiles()], axis=1)
        by_score = torch.from_numpy(scores).sort(dim=1, descending=True, stable=True)
        return Ranked(self.queries, by_score.indices.numpy(), by_score.values)

    def _bound(self, depth: int, deviations: float) -> np.ndarray | None:
        """Return scores (q,) that more than ``depth`` rows most likely reach, None for all."""
        expected = depth / _SAMPLED
        rank = math.ceil(expected + deviations * math.sqrt(expected)) + 1
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
