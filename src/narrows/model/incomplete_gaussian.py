"""Fit a Gaussian with a full covariance to rows with missing values, by EM.

    E    x_m | x_k  ~  N( mu_m - P_mm^-1 P_mk (x_k - mu_k),  P_mm^-1 ),   P = Sigma^-1
    M    mu = mean of E[x],   Sigma = (1 - a) Cov[x] + a D,   D = diag of the known variances

The second term of Sigma is the mode of an inverse Wishart prior, so that few rows, or columns that
depend on each other, are safe. The conditional mean is the best linear fill.

Dempster, Laird, Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm",
JRSS B 39. Schafer (1997), "Analysis of incomplete multivariate data", Chapman and Hall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from narrows.core.checks import check_number

__all__ = ["IncompleteGaussian", "fit_incomplete_gaussian"]

_VALUES = 1 << 21
"""Values of the matrices of a block of rows; each row has one of missing x missing values."""

_FLOOR = 1e-9
"""The least variance, as a share of the mean variance: constant columns have an inverse, too."""


@dataclass(frozen=True)
class IncompleteGaussian:
    """A normal density of rows: ``mean`` (features,), ``covariance`` (features, features).

    Both are float64. Rows x are (rows, features), with NaN where a value is missing. Each method
    costs O(missing^3) for every row.
    """

    mean: Tensor
    covariance: Tensor
    log_likelihoods: tuple[float, ...] = ()
    """log p of the known values of the rows of the fit, in nats, before each step of EM."""

    def fill(self, x: Tensor) -> Tensor:
        """Return x with missing values at E[x_m | x_k], float64."""
        return self._expectation(x).rows

    def variances(self, x: Tensor) -> Tensor:
        """Return the variance of every value given the known ones of its row: 0 if it is known."""
        return self._expectation(x, with_variances=True).variances

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Return log p of the known values of each row, in nats, (rows,)."""
        return self._expectation(x).log_likelihood

    def _expectation(self, x: Tensor, *, with_variances: bool = False) -> _Expectation:
        """Return what the E-step says about x."""
        x = x.double()
        n_rows, n_features = x.shape
        missing = x.isnan()
        rows = torch.where(missing, self.mean, x)
        precision = torch.linalg.inv(self.covariance)
        spread = torch.zeros_like(self.covariance)
        variances = x.new_zeros(x.shape if with_variances else (0, 0))
        log_det = torch.logdet(self.covariance) + x.new_zeros(n_rows)
        for at in _blocks(missing.sum(dim=1)):
            unknown = missing[at]
            width = int(unknown.sum(dim=1).max())
            # the columns of the missing values, padded with known ones up to the same number
            columns = unknown.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
            real = unknown.gather(1, columns)
            both = real[:, :, None] & real[:, None, :]
            block = precision[columns[:, :, None], columns[:, None, :]].where(both, 0.0)
            root = torch.linalg.cholesky(block + torch.diag_embed((~real).double()))
            pull = ((rows[at] - self.mean) @ precision).gather(1, columns).where(real, 0.0)
            move = torch.cholesky_solve(pull[:, :, None], root)[:, :, 0]
            rows[at] = rows[at].scatter_add(1, columns, -move)
            log_det[at] += 2 * root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
            inverse = torch.cholesky_inverse(root).where(both, 0.0)
            places = columns[:, :, None] * n_features + columns[:, None, :]
            spread.view(-1).index_add_(0, places.flatten(), inverse.flatten())
            if with_variances:
                own = inverse.diagonal(dim1=1, dim2=2).contiguous()
                variances[at] = variances[at].scatter_add(1, columns, own)
        off = rows - self.mean
        distance = ((off @ precision) * off).sum(dim=1)
        n_known = (~missing).sum(dim=1).double()
        log_p = -0.5 * (n_known * math.log(2 * math.pi) + log_det + distance)
        return _Expectation(rows, spread, log_p, variances)


@dataclass(frozen=True)
class _Expectation:
    """E[x], the sum over the rows of Cov[x_m | x_k], log p of the known values, and variances."""

    rows: Tensor
    spread: Tensor
    log_likelihood: Tensor
    variances: Tensor


def fit_incomplete_gaussian(
    x: Tensor,
    *,
    shrinkage: float = 0.01,
    start: IncompleteGaussian | None = None,
    max_steps: int = 200,
    tolerance: float = 1e-4,
) -> IncompleteGaussian:
    """Fit to rows x (rows, features) with NaN.

    Parameters
    ----------
    shrinkage : float
        a, in [0, 1]: 1 makes the columns independent, so that the fill is their mean.
    start : IncompleteGaussian, optional
        Where EM starts; by default at the means, and the covariances of rows filled with them.
    tolerance : float
        EM stops when the mean log-likelihood of a known value, with the prior, grows by less, in
        nats, or after ``max_steps``. Cost of a step: O(rows x missing^3 + features^3).

    Raises
    ------
    UsageError
        If ``shrinkage`` is outside [0, 1], or ``max_steps`` is not a positive integer.
    """
    check_number("shrinkage", shrinkage, low=0, high=1)
    check_number("max_steps", max_steps, low=1, integer=True)
    x = x.double()
    known = ~x.isnan()
    n_known = known.sum(dim=0)
    mean = x.nanmean(dim=0).nan_to_num(nan=0.0)
    centered = (x - mean).where(known, 0.0)
    variances = centered.square().sum(dim=0) / n_known.clamp_min(1)
    floor = _FLOOR * float(variances.mean()) or _FLOOR
    prior = torch.diag(variances.clamp_min(floor))
    if start is None:
        begin = centered.t() @ centered / max(len(x), 1)
        begin.diagonal().copy_(variances)
        start = IncompleteGaussian(mean, _shrunk(begin, prior, max(shrinkage, 0.01), floor))
    model, history, before = replace(start, log_likelihoods=()), [], -math.inf
    weight = len(x) * shrinkage / (1 - shrinkage) if shrinkage < 1 else 0.0
    for _ in range(max_steps):
        found = model._expectation(x)
        history.append(float(found.log_likelihood.sum()))
        now = history[-1] - 0.5 * weight * _divergence(model.covariance, prior)
        if now - before < tolerance * int(n_known.sum()):
            break
        before = now
        mean = found.rows.mean(dim=0)
        off = found.rows - mean
        covariance = (off.t() @ off + found.spread) / len(x)
        model = IncompleteGaussian(mean, _shrunk(covariance, prior, shrinkage, floor))
    return replace(model, log_likelihoods=tuple(history))


def _shrunk(covariance: Tensor, prior: Tensor, shrinkage: float, floor: float) -> Tensor:
    mixed = (1 - shrinkage) * covariance + shrinkage * prior
    mixed.diagonal().add_(floor)
    return (mixed + mixed.t()) / 2


def _divergence(covariance: Tensor, prior: Tensor) -> float:
    """Return log |Sigma| + tr(Sigma^-1 D), which the prior keeps small."""
    inverse = torch.linalg.inv(covariance)
    return float(torch.logdet(covariance) + (inverse.diagonal() * prior.diagonal()).sum())


def _blocks(n_missing: Tensor) -> Iterator[Tensor]:
    """Yield the positions of rows with missing values, in blocks of similar numbers of them."""
    order = n_missing.argsort(stable=True)
    order = order[n_missing[order] > 0]
    first = 0
    while first < len(order):
        # the widest row of a block determines the size of its matrices, so look ahead
        size = 128
        while size > 1:
            widest = int(n_missing[order[min(first + size, len(order)) - 1]])
            if size * widest**2 <= _VALUES:
                break
            size //= 2
        yield order[first : first + size]
        first += size
