"""The training row that is nearest to each of some points, of as many rows as there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from narrows.applications.coding import scaled_batches
from narrows.data.source import Source
from narrows.model import Model
from narrows.slots import Rows, SparseRows, dense_rows
from narrows.weighting import known_part

__all__ = ["closest_rows", "picked_rows"]

_ROUNDING = 1e-13
"""What is left of a difference of squares below this share of them is rounding: 0."""


@torch.no_grad()
def closest_rows(
    model: Model, train: Source, asked: Sequence[tuple[Tensor, Tensor | None]], block: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each set of points, the numbers of the nearest training rows and the distances.

    Distances are Euclidean, between scaled rows, in float64; of rows as near as each other it is
    the first. Training rows of counts that are all 0 are left out. All sets are answered in one
    pass over the rows, compared ``block`` at a time where they are dense: O(n x n_train x
    n_features), memory O(n x (n_features + block)).

    Parameters
    ----------
    asked : sequence of (points, numbers)
        Points are scaled rows (n, n_features); where numbers (n,) are given, the points are these
        training rows, or made of them, and are compared with the others only.
    """
    points = [x.double() for x, _ in asked]
    squares = [x.square().sum(dim=1) for x in points]
    best = [torch.full_like(s, torch.inf) for s in squares]
    numbers = [torch.zeros(len(s), dtype=torch.int64, device=s.device) for s in squares]
    for first, rows in _blocks(model, train, block):
        norms = _squares(rows)
        if model.scaling.shares:  # an empty row is near every row whose counts are spread thin
            norms = torch.where(norms == 0, torch.inf, norms)
        for i, (_, own) in enumerate(asked):
            d = squares[i] + norms[:, None] - 2 * _times(rows, points[i])
            if own is not None:
                here = torch.nonzero((own >= first) & (own < first + len(rows)))[:, 0]
                d[(own[here] - first).to(d.device), here.to(d.device)] = torch.inf
            value, at = d.min(dim=0)
            numbers[i] = torch.where(value < best[i], at + first, numbers[i])
            best[i] = torch.minimum(value, best[i])
    return [
        (n.cpu().numpy(), torch.where(b > _ROUNDING * s, b, 0.0).sqrt().cpu().numpy())
        for n, b, s in zip(numbers, best, squares, strict=True)
    ]


def picked_rows(source: Source, numbers: np.ndarray) -> Tensor:
    """Return rows of a source by their numbers, (n, n_features), dense, in one pass over it."""
    picked = torch.empty(len(numbers), source.n_features)
    wanted = torch.as_tensor(numbers)
    first = 0
    for rows in source.in_order(4096):
        here = torch.nonzero((wanted >= first) & (wanted < first + len(rows)))[:, 0]
        if len(here):
            picked[here] = dense_rows(rows)[wanted[here] - first]
        first += len(rows)
    return picked


def _blocks(model: Model, train: Source, block: int) -> Iterator[tuple[int, Rows]]:
    first = 0
    for _, x in scaled_batches(model, train):
        x, _ = known_part(x, model.objective.corruption)
        if isinstance(x, SparseRows):
            yield first, x.with_values(x.values.double())
        else:
            for start in range(0, len(x), block):
                yield first + start, x[start : start + block].double()
        first += len(x)


def _squares(x: Rows) -> Tensor:
    if isinstance(x, SparseRows):
        return x.with_values(x.values.square()).row_sums()
    return x.square().sum(dim=1)


def _times(x: Rows, points: Tensor) -> Tensor:
    """Return x @ points^T, (rows, n)."""
    return x.matmul(points.t().contiguous()) if isinstance(x, SparseRows) else x @ points.t()
