"""Baseline imputation: mean, nearest row, PCA or Gaussian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Generator, Tensor

from narrows.core.sparse import Rows, dense_rows
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.model.baseline import fill_with_means
from narrows.model.coding import BATCH

__all__ = [
    "Baselines",
    "SubspaceFill",
    "baseline_fills",
    "fit_baselines",
    "fit_subspace",
    "gaussian_fill",
    "mean_fill",
    "nearest_fill",
    "neighbors_fill",
]

BASELINE_ROWS = 60_000
WIDTH = 30

_EXACT_FEATURES = 4096

_ROWS = 256
"""Rows per batch: each has its own matrix of components x components."""


def mean_fill(x: Tensor, hidden: Tensor, mean: Tensor) -> Tensor:
    """Return x (n, features) with hidden values at the ``mean`` (features,) of their feature."""
    return torch.where(hidden, mean, x)


def nearest_fill(x: Tensor, hidden: Tensor, rows: Tensor) -> Tensor:
    """Return x (n, features) with hidden values from the row nearest by the known values.

    ``rows`` (rows, features) have no hidden values; of equally near rows the first is taken. Cost:
    O(n x rows x features).
    """
    return torch.where(hidden, rows[_known_distances(x, hidden, rows).argmin(dim=1)], x)


def neighbors_fill(x: Tensor, hidden: Tensor, rows: Tensor, *, k: int) -> Tensor:
    """Return x with hidden values from the mean of the k rows nearest by the known values.

    The blocks of x keep the distances to ``rows`` within 256 times as many numbers as there are
    rows. Cost: as ``nearest_fill``.
    """
    parts = []
    for values, where in zip(x.split(_ROWS), hidden.split(_ROWS), strict=True):
        distance = _known_distances(values, where, rows)
        nearest = distance.topk(min(k, len(rows)), dim=1, largest=False).indices
        total = torch.zeros_like(values)
        for column in nearest.t():  # one neighbor at a time: k copies of wide rows are large
            total += rows[column]
        parts.append(torch.where(where, total / nearest.shape[1], values))
    return torch.cat(parts) if parts else x


def _known_distances(x: Tensor, hidden: Tensor, rows: Tensor) -> Tensor:
    """Return the squared distance by known values, (n, rows), up to a number per row of x."""
    known = (~hidden).to(x.dtype)
    return known @ rows.square().t() - 2 * torch.where(hidden, 0.0, x) @ rows.t()


def gaussian_fill(x: Tensor, hidden: Tensor, rows: Tensor, *, ridge: float = 1e-4) -> Tensor:
    """Return x with hidden values at E[hidden | known] of a Gaussian fitted to ``rows``.

    The Gaussian has a full covariance, and ``ridge``, in squared units of x, is added to every
    variance. Shapes (n, features) and (rows, features). Cost: O(known^3) for each distinct mask.
    """
    mean = rows.double().mean(dim=0)
    covariance = torch.cov(rows.double().t()) + ridge * torch.eye(len(mean), dtype=torch.float64)
    masks, which = torch.unique(hidden, dim=0, return_inverse=True)
    filled = x.clone()
    for k, mask in enumerate(masks):
        at = (which == k).nonzero()[:, 0]
        known = ~mask
        centered = x[at][:, known].double() - mean[known]
        weights = torch.linalg.solve(covariance[known][:, known], covariance[known][:, mask])
        filled[at[:, None], mask.nonzero()[:, 0]] = (mean[mask] + centered @ weights).to(x.dtype)
    return filled


@dataclass(frozen=True)
class SubspaceFill:
    """The mean plus the orthonormal ``components`` (width, features), with their ``variances``.

    ``noise`` is the mean variance of all other directions, as in probabilistic PCA:
    Tipping, Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    noise: float

    def least_squares(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return x with hidden values from the point of the subspace nearest to the known values.

        Of several such points the one nearest to the mean is taken. Shapes (n, features). Cost:
        O(n x features x width^2).
        """
        return self._filled(x, hidden, torch.zeros_like(self.variances))

    def conditional_mean(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return x with hidden values at E[hidden | known] of probabilistic PCA."""
        signal = (self.variances - self.noise).clamp_min(1e-12 + 1e-6 * self.variances.amax())
        return self._filled(x, hidden, self.noise / signal)

    def _filled(self, x: Tensor, hidden: Tensor, ridge: Tensor) -> Tensor:
        parts = []
        v = self.components.double()
        pairs = (v[:, None] * v[None, :]).flatten(0, 1)  # (width^2, features)
        for rows, where in zip(x.split(_ROWS), hidden.split(_ROWS), strict=True):
            known = (~where).double()
            centered = torch.where(where, 0.0, rows.double() - self.mean.double())
            gram = (known @ pairs.t()).view(-1, len(v), len(v)) + torch.diag(ridge.double())
            # with too few known values the matrix is singular: take the shortest solution
            inverse = torch.linalg.pinv(gram, rtol=1e-9, hermitian=True)
            h = (inverse @ (centered @ v.t())[..., None])[..., 0]
            parts.append(torch.where(where, (h @ v + self.mean.double()).to(x.dtype), rows))
        return torch.cat(parts) if parts else x


def fit_subspace(rows: Tensor, width: int, *, seed: int = 0) -> SubspaceFill:
    """Fit mean, components and variances to rows (n, features) without hidden values.

    Exact for up to 4,096 features; for more, by scikit-learn's randomized solver.
    """
    width = min(width, *rows.shape)
    solver = "randomized" if rows.shape[1] > _EXACT_FEATURES else "covariance_eigh"
    pca = PCA(width, svd_solver=solver, random_state=seed)
    with np.errstate(all="ignore"):  # a constant table has no ratio of variances
        pca.fit(rows.numpy())
    explained = float(pca.explained_variance_.sum())
    rest = max(float(rows.var(dim=0).double().sum()) - explained, 0.0)
    # if rows lie in the subspace up to rounding, E[hidden | known] is the limit of small noise
    noise = max(rest / max(rows.shape[1] - width, 1), 1e-6 * explained / rows.shape[1])
    parts = (pca.mean_, pca.components_, pca.explained_variance_)
    mean, components, variances = (torch.from_numpy(np.array(p)).to(rows.dtype) for p in parts)
    return SubspaceFill(mean, components, variances.clamp_min(0), noise)


@dataclass(frozen=True)
class Baselines:
    """Scaled training rows (rows, n_features), and the linear fill fitted to them.

    ``hashes`` are those of the rows in input units.
    """

    rows: Tensor
    subspace: SubspaceFill
    hashes: frozenset[int]

    def fills(self, x: Tensor, hidden: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the fill of each baseline, for scaled rows (n, n_features).

        With as many components as features, least squares is the same as the mean and is left
        out, and the conditional mean is that of a full Gaussian.
        """
        subspace = self.subspace
        width, n_features = subspace.components.shape
        yield "mean", mean_fill(x, hidden, subspace.mean)
        if width < n_features:
            name = f"PCA-{width}"
            yield f"{name}, least squares", subspace.least_squares(x, hidden)
        else:
            name = "Gaussian"
        yield f"{name}, conditional mean", subspace.conditional_mean(x, hidden)
        yield "nearest row", nearest_fill(x, hidden, self.rows)

    def n_among(self, source: Source) -> int:
        """Return how many rows of a dense source, in input units, are among the training rows."""
        blocks = source.in_float64().in_order(BATCH)
        return sum(number in self.hashes for raw in blocks for number in _hashes(raw))


def fit_baselines(
    scaling: Scaling,
    source: Source,
    *,
    n_features: int | None = None,
    width: int = WIDTH,
    seed: int = 0,
) -> Baselines:
    """Fit baselines to at most 60,000 rows of the source, scaled as the model scales them.

    If ``n_features``, the number of features of the model, is given, it is checked.

    Raises
    ------
    UsageError
        If the rows are sparse.
    InvalidData
        If the number of features is not ``n_features``, or there are fewer than two rows.
    """
    if n_features not in (None, source.n_features):
        raise InvalidData(
            f"{source.origin}: baselines of {source.n_features} features, but the model was fitted "
            f"to {n_features}; give the rows that it was fitted to, or such rows."
        )
    if source.n_rows < 2:
        raise InvalidData(
            f"{source.origin}: baselines need at least two rows, got {source.n_rows}; give "
            "training rows."
        )
    rows = source.in_float64().sample(BASELINE_ROWS, generator=Generator().manual_seed(seed))
    if not isinstance(rows, Tensor):
        raise UsageError(f"baselines: {source.origin} is sparse; give dense rows.")
    hashes = frozenset(_hashes(rows))
    scaled = fill_with_means(dense_rows(scaling.forward(rows)))
    return Baselines(scaled, fit_subspace(scaled, width), hashes)


def _hashes(rows: Rows) -> Iterator[int]:
    for row in dense_rows(rows).double().numpy():
        yield hash(row.tobytes())


def baseline_fills(
    baselines: Baselines, scaling: Scaling, raw: Tensor, hidden: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the scaled fill of each baseline, for rows in input units.

    Hidden values are not read.
    """
    x = dense_rows(scaling.forward(torch.where(hidden, torch.nan, raw)))
    yield from baselines.fills(x.nan_to_num(nan=0.0), hidden | raw.isnan())
