"""What hidden values are without a net: the mean, the nearest row, the likeliest linear one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

__all__ = ["SubspaceFill", "fit_subspace", "gaussian_fill", "mean_fill", "nearest_fill"]

_EXACT_FEATURES = 4096

_ROWS = 256
"""Rows at a time: each has a matrix of components x components of its own."""


def mean_fill(x: Tensor, hidden: Tensor, mean: Tensor) -> Tensor:
    """Return x (n, features) with every feature's ``mean`` (features,) where ``hidden``."""
    return torch.where(hidden, mean, x)


def nearest_fill(x: Tensor, hidden: Tensor, rows: Tensor) -> Tensor:
    """Return x (n, features) with the values of the row that is nearest on what is known.

    ``rows`` (rows, features) are without hidden values; of equals the first is taken. Cost:
    O(n x rows x features).
    """
    known = (~hidden).to(x.dtype)
    seen = torch.where(hidden, 0.0, x)
    # sum over known of (x - row)^2, less what is the same for all rows
    distance = known @ rows.square().t() - 2 * seen @ rows.t()
    return torch.where(hidden, rows[distance.argmin(dim=1)], x)


def gaussian_fill(x: Tensor, hidden: Tensor, rows: Tensor, *, ridge: float = 1e-4) -> Tensor:
    """Return x with E[hidden | known] of one Gaussian of full covariance, fitted to ``rows``.

    ``ridge``, in squared units of x, is added to every variance. Shapes (n, features), (rows,
    features); cost O(known^3) for every mask that differs.
    """
    mean = rows.double().mean(dim=0)
    covariance = torch.cov(rows.double().t()) + ridge * torch.eye(len(mean), dtype=torch.float64)
    masks, which = torch.unique(hidden, dim=0, return_inverse=True)
    filled = x.clone()
    for k, mask in enumerate(masks):
        at = (which == k).nonzero()[:, 0]
        known = ~mask
        seen = x[at][:, known].double() - mean[known]
        weights = torch.linalg.solve(covariance[known][:, known], covariance[known][:, mask])
        filled[at[:, None], mask.nonzero()[:, 0]] = (mean[mask] + seen @ weights).to(x.dtype)
    return filled


@dataclass(frozen=True)
class SubspaceFill:
    """The mean plus the orthonormal ``components`` (width, features), with their ``variances``.

    ``noise`` is the mean variance of the directions left out: with it this is probabilistic PCA.
    Tipping, Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    noise: float

    def least_squares(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return x with what the point of the subspace nearest to the known values has there.

        Of several the one nearest to the mean is taken. Shapes (n, features); cost
        O(n x features x width^2).
        """
        return self._filled(x, hidden, torch.zeros_like(self.variances))

    def conditional_mean(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return x with E[hidden | known] of probabilistic PCA: shrunk towards the mean."""
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
            # where too little is known the matrix has no inverse: the shortest solution
            inverse = torch.linalg.pinv(gram, rtol=1e-9, hermitian=True)
            h = (inverse @ (centered @ v.t())[..., None])[..., 0]
            parts.append(torch.where(where, (h @ v + self.mean.double()).to(x.dtype), rows))
        return torch.cat(parts) if parts else x


def fit_subspace(rows: Tensor, width: int, *, seed: int = 0) -> SubspaceFill:
    """Fit mean, components and variances to rows (n, features) without hidden values.

    Exact for up to 4,096 features; beyond, the components are scikit-learn's randomized ones.
    """
    width = min(width, *rows.shape)
    wide = rows.shape[1] > _EXACT_FEATURES
    pca = PCA(width, svd_solver="randomized" if wide else "covariance_eigh", random_state=seed)
    with np.errstate(all="ignore"):  # a constant table has no ratio of variances to say
        pca.fit(rows.numpy())
    left = max(float(rows.var(dim=0).double().sum()) - float(pca.explained_variance_.sum()), 0.0)
    # of what lies in the subspace but for rounding, E[hidden | known] is the limit of small noise
    least = 1e-6 * float(pca.explained_variance_.sum()) / rows.shape[1]
    noise = max(left / max(rows.shape[1] - width, 1), least)
    parts = (pca.mean_, pca.components_, pca.explained_variance_)
    mean, components, variances = (torch.from_numpy(np.array(p)).to(rows.dtype) for p in parts)
    return SubspaceFill(mean, components, variances.clamp_min(0), noise)
