"""Probabilistic PCA of rows with missing values, by EM.

    x = mu + W h + e,    h ~ N(0, I),    e ~ N(0, s^2 I)

    E    h | x_k  ~  N( M^-1 W_k^T (x_k - mu_k),  s^2 M^-1 ),   M = W_k^T W_k + s^2 I
    M    regress each column on the codes of the rows where it is known

A linear autoencoder with a density: the posterior mean of h is the code of a row with NaN, and
mu + W h fills in its missing values. With as many components as features it is a full Gaussian.

Tipping, Bishop (1999), "Probabilistic principal component analysis", JRSS B 61. The M-step also
estimates the mean and covariance of h and moves them into mu and W, which needs fewer steps:
Liu, Rubin, Wu (1998), "Parameter expansion to accelerate EM: the PX-EM algorithm", Biometrika 85.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from narrows.core.checks import check_number

__all__ = ["ProbabilisticPCA", "fit_probabilistic_pca"]

_VALUES = 1 << 21
"""Values of the matrices of a block of rows; each row has one of width x width values."""

_FLOOR = 1e-9
"""The least noise variance, as a share of the mean variance of a column."""


@dataclass(frozen=True)
class ProbabilisticPCA:
    """A density of rows: ``mean`` (features,), ``loadings`` W (features, width), ``noise`` s^2.

    All are float64. The loadings are orthogonal, the longest first. Rows x are (rows, features),
    with NaN where a value is missing. Each method costs O(features x width^2 + width^3) for every
    row.
    """

    mean: Tensor
    loadings: Tensor
    noise: float
    log_likelihoods: tuple[float, ...] = ()
    """log p of the known values of the rows of the fit, in nats, before each step of EM."""

    @property
    def width(self) -> int:
        return self.loadings.shape[1]

    def posterior(self, x: Tensor) -> Tensor:
        """Return E[h | x_k], the code of each row, (rows, width)."""
        return torch.cat([block.codes for block in self._blocks(x)])

    def fill(self, x: Tensor) -> Tensor:
        """Return x with missing values at E[x_m | x_k], float64."""
        x = x.double()
        return torch.where(x.isnan(), self.mean + self.posterior(x) @ self.loadings.t(), x)

    def variances(self, x: Tensor) -> Tensor:
        """Return the variance of every value given the known ones of its row: 0 if it is known."""
        w = self.loadings
        own = [((w @ block.covariances) * w).sum(dim=2) + self.noise for block in self._blocks(x)]
        return torch.cat(own).where(x.isnan(), 0.0)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Return log p of the known values of each row, in nats, (rows,)."""
        return torch.cat([block.log_likelihood for block in self._blocks(x)])

    def covariance(self) -> Tensor:
        """Return W W^T + s^2 I, (features, features)."""
        noise = self.noise * torch.eye(len(self.mean), dtype=torch.float64)
        return self.loadings @ self.loadings.t() + noise

    def _blocks(self, x: Tensor) -> Iterator[_Codes]:
        """Yield what the E-step says about blocks of rows."""
        x = x.double()
        w, width = self.loadings, self.width
        pairs = (w[:, :, None] * w[:, None, :]).flatten(1)  # (features, width^2)
        size = max(1, _VALUES // max(width**2, w.shape[0]))
        for rows in x.split(size) if len(x) else [x]:
            known = (~rows.isnan()).double()
            off = (rows - self.mean).nan_to_num(nan=0.0)
            m = (known @ pairs).view(-1, width, width)
            m = m + self.noise * torch.eye(width, dtype=torch.float64)
            root = torch.linalg.cholesky(m)
            inverse = torch.cholesky_inverse(root)
            towards = off @ w
            codes = (inverse @ towards[:, :, None])[:, :, 0]
            n_known = known.sum(dim=1)
            distance = (off.square().sum(dim=1) - (towards * codes).sum(dim=1)) / self.noise
            log_det = 2 * root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
            log_det = log_det + (n_known - width) * math.log(self.noise)
            log_p = -0.5 * (n_known * math.log(2 * math.pi) + log_det + distance)
            yield _Codes(rows, known, codes, self.noise * inverse, log_p)


@dataclass(frozen=True)
class _Codes:
    """Rows, 1 where they are known, E[h], Cov[h], and log p of the known values."""

    rows: Tensor
    known: Tensor
    codes: Tensor
    covariances: Tensor
    log_likelihood: Tensor


def fit_probabilistic_pca(
    x: Tensor,
    width: int,
    *,
    prior: float = 1.0,
    max_steps: int = 200,
    tolerance: float = 1e-4,
) -> ProbabilisticPCA:
    """Fit to rows x (rows, features) with NaN.

    Parameters
    ----------
    width : int
        Number of components; at most the number of features is used.
    prior : float
        Precision of a normal prior of each loading around 0, in the unit of x: it keeps columns
        with few known values safe, and hardly matters otherwise. 0 is maximum likelihood.
    tolerance : float
        EM stops when the mean log-likelihood of a known value grows by less, in nats, or after
        ``max_steps``. Cost of a step: O(rows x (features x width^2 + width^3)).

    Raises
    ------
    UsageError
        If ``width`` is not a positive integer, or ``prior`` is negative.
    """
    check_number("width", width, low=1, integer=True)
    check_number("prior", prior, low=0)
    check_number("max_steps", max_steps, low=1, integer=True)
    x = x.double()
    model = _start(x, min(width, x.shape[1]))
    floor = _FLOOR * float((x - model.mean).nan_to_num(nan=0.0).square().mean()) or _FLOOR
    n_known, before, history = int((~x.isnan()).sum()), -math.inf, []
    for _ in range(max_steps):
        stepped, log_p = _step(model, x, prior, floor)
        history.append(log_p)
        if log_p - before < tolerance * n_known:
            break
        before, model = log_p, stepped
    left, lengths, _ = torch.linalg.svd(model.loadings, full_matrices=False)
    return replace(model, loadings=left * lengths, log_likelihoods=tuple(history))


def _start(x: Tensor, width: int) -> ProbabilisticPCA:
    """Return PCA of the rows with missing values at their means."""
    mean = x.nanmean(dim=0).nan_to_num(nan=0.0)
    off = (x - mean).nan_to_num(nan=0.0)
    _, lengths, right = torch.linalg.svd(off, full_matrices=False)
    variances = lengths.square() / max(len(x), 1)
    noise = float(variances[width:].sum()) / max(x.shape[1] - width, 1)
    noise = max(noise, 1e-3 * float(variances.sum()) / x.shape[1]) or 1.0
    signal = (variances[:width] - noise).clamp_min(0.1 * noise)
    loadings = x.new_zeros(x.shape[1], width)
    loadings[:, : len(signal)] = right[:width].t() * signal.sqrt()
    return ProbabilisticPCA(mean, loadings, noise)


def _step(
    model: ProbabilisticPCA, x: Tensor, prior: float, floor: float
) -> tuple[ProbabilisticPCA, float]:
    """Return the model after a step of EM, and log p of the known values before it."""
    n_features, width = model.loadings.shape
    # moments of z = (h, 1) over the rows where each column is known
    gram = x.new_zeros(n_features, (width + 1) ** 2)
    cross = x.new_zeros(n_features, width + 1)
    whole = x.new_zeros(width + 1, width + 1)
    squares, log_p = x.new_zeros(()), 0.0
    for block in model._blocks(x):
        z = torch.cat([block.codes, torch.ones_like(block.codes[:, :1])], dim=1)
        moments = z[:, :, None] * z[:, None, :]
        moments[:, :width, :width] += block.covariances
        values = block.rows.nan_to_num(nan=0.0)
        gram += block.known.t() @ moments.flatten(1)
        cross += values.t() @ z
        whole += moments.sum(dim=0)
        squares = squares + values.square().sum()
        log_p += float(block.log_likelihood.sum())
    gram = gram.view(n_features, width + 1, width + 1)
    ridge = torch.full((width + 1,), prior * model.noise + 1e-12, dtype=torch.float64)
    ridge[-1] = 1e-12
    solved = torch.linalg.solve(gram + torch.diag(ridge), cross[:, :, None])[:, :, 0]
    fitted = ((gram @ solved[:, :, None])[:, :, 0] - 2 * cross) * solved
    noise = max(float(squares + fitted.sum()) / int((~x.isnan()).sum()), floor)
    # the codes' own mean and covariance move into mu and W
    count = whole[-1, -1]
    center = whole[-1, :width] / count
    covariance = whole[:width, :width] / count - center[:, None] * center
    root = torch.linalg.cholesky(covariance + 1e-12 * torch.eye(width, dtype=torch.float64))
    loadings, mean = solved[:, :width], solved[:, width]
    return ProbabilisticPCA(mean + loadings @ center, loadings @ root, noise), log_p
