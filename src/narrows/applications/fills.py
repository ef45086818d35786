"""What hidden values are without a net: the mean, the nearest row, the likeliest linear one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SubspaceFill", "fit_subspace", "mean_fill", "nearest_fill"]

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
            centred = torch.where(where, 0.0, rows.double() - self.mean.double())
            gram = (known @ pairs.t()).view(-1, len(v), len(v)) + torch.diag(ridge.double())
            # where too little is known the matrix has no inverse: the shortest solution
            inverse = torch.linalg.pinv(gram, rtol=1e-9, hermitian=True)
            h = (inverse @ (centred @ v.t())[..., None])[..., 0]
            parts.append(torch.where(where, (h @ v + self.mean.double()).to(x.dtype), rows))
        return torch.cat(parts) if parts else x


def fit_subspace(rows: Tensor, width: int) -> SubspaceFill:
    """Fit mean, components and variances to rows (n, features) without hidden values."""
    wide = rows.double()
    mean = wide.mean(dim=0)
    centred = wide - mean
    variances, axes = torch.linalg.eigh(centred.t() @ centred / max(len(rows) - 1, 1))
    variances, axes = variances.flip(0).clamp_min(0), axes.flip(1)
    width = min(width, len(rows), rows.shape[1])
    left = variances[width:]
    noise = float(left.mean()) if len(left) else 0.0
    return SubspaceFill(
        mean.to(rows.dtype),
        axes[:, :width].t().to(rows.dtype).contiguous(),
        variances[:width].to(rows.dtype),
        noise,
    )
