"""Fit a density to the codes of a trained net, so that any autoencoder can generate rows.

Ghosh, Sajjadi, Vergari, Black, Schoelkopf (2020), "From variational to deterministic
autoencoders", ICLR.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Generator, Tensor

from narrows._types import Codes

__all__ = ["Density", "fit_densities", "fit_gaussian", "rows_for"]

_MAX_ROWS = 10_000
_MAX_VALUES = 64 << 20
_WIDE = 1024
"""Limit on the rows for wider codes, so that no matrix to decompose is larger than this."""

_PARTS = 10
_ROWS_A_PART = 20
_MIXED = 64
_FLAT = 1e-9
"""Directions with less than this share of the largest variance are left out."""


@dataclass(frozen=True)
class Density:
    """A mixture of normals: h = means_k + factors_k e, part k with probability weights_k.

    ``weights`` (parts,), ``means`` (parts, components), ``factors`` (parts, components, rank);
    e is standard normal. The rank is that of the codes, so that constant and collinear components
    stay so. Drawing needs only the factors, and covariances are not stored.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def draw(self, n: int, *, generator: Generator) -> Codes:
        """Draw n codes, (n, components)."""
        part = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        e = torch.empty(n, self.factors.shape[2]).normal_(generator=generator)
        h = self.means[part]
        for k in part.unique():
            rows = part == k
            h[rows] += e[rows] @ self.factors[k].t()
        return h

    def log_density(self, h: Tensor, *, floor: float) -> Tensor:
        """Return log p(h) in nats, (rows,), float64, with ``floor`` added to the variances.

        The floor, in squared code units, must be > 0: codes of a lower rank than they have
        components have no density without it. Cost: O(parts x (components^3 + rows x
        components^2)).
        """
        h, weights = h.double(), self.weights.to(h.device).double()
        logs = []
        for mean, factor in zip(self.means.to(h), self.factors.to(h), strict=True):
            covariance = factor @ factor.t()
            covariance.diagonal().add_(floor)
            root = torch.linalg.cholesky(covariance)
            e = torch.linalg.solve_triangular(root, (h - mean).t(), upper=False)
            logs.append(-0.5 * e.square().sum(dim=0) - root.diagonal().log().sum())
        constant = 0.5 * h.shape[1] * math.log(2 * math.pi)
        log_weights = (weights / weights.sum()).log()[:, None]
        return torch.logsumexp(torch.stack(logs) + log_weights, dim=0) - constant

    def tensors(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "means": self.means, "factors": self.factors}

    def check(self, n_components: int) -> None:
        """Raise ValueError unless the tensors are those of a density of codes of this width."""
        parts = len(self.weights)
        shapes = [tuple(t.shape) for t in self.tensors().values()]
        if shapes[:2] != [(parts,), (parts, n_components)] or (
            self.factors.ndim != 3 or shapes[2][:2] != (parts, n_components)
        ):
            raise ValueError(f"a density of shapes {shapes} for codes of {n_components} numbers")
        for value in self.tensors().values():
            if value.dtype != torch.float32:
                raise ValueError(f"a density of {value.dtype}")
        if not bool((self.weights >= 0).all() and (self.weights.sum() - 1).abs() < 1e-3):
            raise ValueError("a density whose weights are not probabilities")


def rows_for(n_features: int, n_components: int) -> int:
    """Return the number of rows to fit a density to: time and memory stay bounded."""
    return min(_MAX_ROWS if n_components <= _WIDE else _WIDE, max(1000, _MAX_VALUES // n_features))


def fit_densities(codes: np.ndarray, *, seed: int) -> dict[str, Density]:
    """Fit "gaussian", of full covariance, and "mixture", of ten normals, to codes (rows, width).

    The mixture has fewer parts if there are fewer rows per part than 20 or twice the rank. It is
    fitted in the up to 64 directions of largest variance, on a common scale. Rows that are not
    finite do not count; with fewer than two rows there is no density. Cost: O(rows x width^2), and
    for the mixture at most 30 passes of O(rows x parts x 64^2).
    """
    codes = _finite(codes)
    if len(codes) < 2:
        return {}
    gaussian, mean, axes, stds = _gaussian(codes)
    # fit the mixture in the leading axes, on one scale, so that small directions are not inflated
    axes, stds = axes[:, :_MIXED], stds[:_MIXED]
    scale = float(np.sqrt(np.square(stds).mean()))
    weights, means, factors = _mixture((codes - mean) @ axes / (scale or 1.0), seed)
    mixture = _density(weights, mean + scale * means @ axes.T, scale * axes @ factors)
    fitted = {"gaussian": gaussian, "mixture": mixture}
    return {
        name: density
        for name, density in fitted.items()
        if all(bool(torch.isfinite(value).all()) for value in density.tensors().values())
    }


def fit_gaussian(codes: np.ndarray) -> Density:
    """Fit one normal with a full covariance to codes (rows, width), of two rows or more."""
    return _gaussian(_finite(codes))[0]


def _finite(codes: np.ndarray) -> np.ndarray:
    return codes[np.isfinite(codes).all(axis=1)].astype(np.float64)


def _gaussian(codes: np.ndarray) -> tuple[Density, np.ndarray, np.ndarray, np.ndarray]:
    """Return the normal fitted to codes, their mean, and their principal axes with stds."""
    mean = codes.mean(axis=0)
    axes, stds = _principal(codes - mean)
    return _density(np.ones(1), mean[None], (axes * stds)[None]), mean, axes, stds


def _principal(centered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal axes (width, rank) of centered rows, and the stds along them."""
    n_rows, width = centered.shape
    if width <= n_rows:
        variances, axes = np.linalg.eigh(centered.T @ centered / (n_rows - 1))
    else:  # the Gram matrix of the rows is the smaller one
        variances, left = np.linalg.eigh(centered @ centered.T / (n_rows - 1))
        axes = centered.T @ left
        axes /= np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
    variances, axes = variances[::-1], axes[:, ::-1]
    rank = max(1, int((variances > _FLAT * variances[0]).sum()))
    return axes[:, :rank], np.sqrt(np.maximum(variances[:rank], 0))


def _mixture(points: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means and covariance roots of a mixture fitted to points (rows, rank)."""
    n_rows, rank = points.shape
    n_parts = max(1, min(_PARTS, n_rows // max(_ROWS_A_PART, 2 * rank)))
    n_parts = min(n_parts, len(np.unique(points, axis=0)))
    mixture: Any = GaussianMixture(
        n_parts, reg_covar=1e-6, tol=1e-2, max_iter=30, random_state=seed
    )
    # k-means needs NumPy arrays, even if the user has array API dispatch on
    with config_context(array_api_dispatch=False), warnings.catch_warnings():
        # thirty passes come close enough: further ones change no picture
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(points)
    return mixture.weights_, mixture.means_, np.linalg.cholesky(mixture.covariances_)


def _density(weights: np.ndarray, means: np.ndarray, factors: np.ndarray) -> Density:
    arrays = (np.ascontiguousarray(array, dtype=np.float32) for array in (weights, means, factors))
    return Density(*map(torch.from_numpy, arrays))
