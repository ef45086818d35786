"""Score rows by -log p(x | h) - log p(h): reconstruction error plus density of the codes.

The error alone misses a row that the net reconstructs well from a code unlike those of all training
rows; the density of the codes alone misses whatever the code leaves out.

Zong, Song, Min, Cheng, Lumezanu, Cho, Chen (2018), "Deep autoencoding Gaussian mixture model for
unsupervised anomaly detection", ICLR (there error and code are both inputs of the density).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.applications.anomalies.contributions import excess
from narrows.core.sparse import Rows, dense_rows
from narrows.core.weights import fill_missing
from narrows.data.source import Source, evenly_spaced
from narrows.losses import SquaredError
from narrows.model.coding import code_of, scaled_batches
from narrows.model.density import Density, fit_densities, fit_gaussian, rows_for
from narrows.model.model import Model
from narrows.model.parts import check_magnitudes

__all__ = ["AnomalyScore", "anomaly_scores", "fit_anomaly_score", "occlusions", "trimmed_rows"]

_LEAST_VARIANCE = 1e-3
"""Smallest variance of a residual, as a share of the mean variance of the features: a feature that
the net reconstructs exactly must not outweigh all others."""

_FLOOR = 1e-2
"""Variance added in every direction of the code, as a share of its mean variance."""

_TINY = 1e-12
_ROUNDS = 3


@dataclass(frozen=True)
class AnomalyScore:
    """S(x) = sum_j E_j(x) - log p(f(x)), in nats up to a constant.

    For squared errors E_j is (x_j - r_j)^2 / (2 v_j), with v_j the variance of the residuals; for
    losses in nats it is the excess over a perfect reconstruction, and ``variances`` are 1/2.

    ``variances`` (n_features,) and ``floor`` () are > 0; ``means`` (n_features,) are the means of
    the known scaled values. All are float32.
    """

    density: Density
    variances: Tensor
    means: Tensor
    floor: Tensor

    def of(self, model: Model, x: Rows) -> Tensor:
        """Return S of scaled rows, (rows,), float64."""
        h = code_of(model, x).h
        errors = excess(model, x, h) @ (0.5 / self.variances.double()).to(model.device)
        return errors - self.density.log_density(h, floor=float(self.floor))

    def tensors(self) -> dict[str, Tensor]:
        density = {f"density.{name}": value for name, value in self.density.tensors().items()}
        own = {"variances": self.variances, "means": self.means, "floor": self.floor}
        return own | density

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], model: Model) -> AnomalyScore:
        """Rebuild a score from its ``tensors``; raise ValueError if they do not fit the model."""
        parts = {k.removeprefix("density."): v for k, v in tensors.items() if k.startswith("den")}
        density = Density(**parts)
        density.check(model.n_components)
        rest = {k: v for k, v in tensors.items() if not k.startswith("den")}
        found = cls(density, **rest)
        wide = (model.schema.n_features,)
        for value, shape in ((found.variances, wide), (found.means, wide), (found.floor, ())):
            if tuple(value.shape) != shape or value.dtype != torch.float32:
                raise ValueError(f"a scale of {value.dtype} of shape {tuple(value.shape)}")
        if not bool((found.variances > 0).all() and found.floor > 0):
            raise ValueError("a scale that is not positive")
        check_magnitudes({"means": found.means} | density.tensors())
        found.check_answers(model)
        return found

    @torch.no_grad()
    def check_answers(self, model: Model) -> None:
        """Raise ValueError unless S is finite for a row of zeros and a row of ones."""
        if not bool(torch.isfinite(self.of(model, model.probe_rows())).all()):
            raise ValueError("the score of a row is not finite: a scale is too large or small")


@torch.no_grad()
def anomaly_scores(model: Model, score: AnomalyScore, source: Source) -> Iterator[np.ndarray]:
    """Yield S of every row, float64.

    Raises
    ------
    InvalidData
        If the loss does not allow a value.
    """
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        yield score.of(model, x).cpu().numpy()


@torch.no_grad()
def occlusions(model: Model, score: AnomalyScore, source: Source) -> Iterator[np.ndarray]:
    """Yield how much S of each row drops when feature j is set to its mean.

    max(0, S(x) - S(x with x_j = mean_j)), (rows, n_features), float64: it covers both an unusual
    code and what the code leaves out. Cost: n_features times that of S.
    """
    for _, rows in scaled_batches(model, source):
        x = dense_rows(rows)
        whole, means = score.of(model, x), score.means.to(model.device)
        drops = torch.empty(x.shape, dtype=torch.float64)
        for j in range(x.shape[1]):
            occluded = x.clone()
            occluded[:, j] = means[j]
            drops[:, j] = (whole - score.of(model, occluded)).clamp_min(0).cpu()
        yield drops.numpy()


def trimmed_rows(model: Model, source: Any, *, trim: float, seed: int) -> Tensor:
    """Return the numbers of the rows that remain without the share ``trim`` with the largest S.

    S is fitted to all rows, the rows with the largest S are left out, and S is fitted again to the
    others, three times. Its density is one normal here: in a mixture a cluster of anomalies could
    become a component of its own.

    Rousseeuw, Van Driessen (1999), "A fast algorithm for the minimum covariance determinant
    estimator", Technometrics 41 (their concentration steps).
    """
    n_kept = max(2, math.ceil(source.n_rows * (1 - trim)))
    kept = torch.arange(source.n_rows)
    for _ in range(_ROUNDS):
        score = fit_anomaly_score(model, source.subset(kept), seed=seed, mixture=False)
        found = np.concatenate(list(anomaly_scores(model, score, source)))
        kept = torch.from_numpy(np.sort(np.argsort(found, kind="stable")[:n_kept]))
    return kept


@torch.no_grad()
def fit_anomaly_score(
    model: Model, source: Source, *, seed: int, mixture: bool = True
) -> AnomalyScore:
    """Fit the variances of the residuals and the density of the codes to the training rows.

    The density is the mixture of ``fit_densities``, or one normal; of more rows than that takes,
    evenly spaced ones are used.
    """
    residual, sums, squares, counts = torch.zeros(4, source.n_features, dtype=torch.float64)
    codes: list[np.ndarray] = []
    for _, x in scaled_batches(model, source):
        h = code_of(model, x).h
        residual += excess(model, x, h).sum(dim=0).cpu()
        filled, known = fill_missing(x, model.objective.corruption)
        wide = dense_rows(filled).double().cpu()
        known = torch.ones_like(wide) if known is None else known.double().cpu()
        wide = wide * known  # values that were filled in do not count
        counts, sums = counts + known.sum(dim=0), sums + wide.sum(dim=0)
        squares += wide.square().sum(dim=0)
        codes.append(h.cpu().numpy())
    all_codes, n = np.concatenate(codes), source.n_rows
    used = all_codes[evenly_spaced(n, rows_for(source.n_features, model.n_components)).numpy()]
    density = fit_densities(used, seed=seed)["mixture"] if mixture else fit_gaussian(used)
    counts = counts.clamp_min(1)
    floor = max(_FLOOR * float(all_codes.var(axis=0, dtype=np.float64).mean()), _TINY)
    if isinstance(model.objective.loss, SquaredError):
        variance = float((squares / counts - (sums / counts).square()).mean())
        variances = (residual / counts).clamp_min(max(_LEAST_VARIANCE * variance, _TINY))
    else:
        variances = torch.full_like(residual, 0.5)
    means = (sums / counts).float()
    return AnomalyScore(density, variances.float(), means, torch.tensor(floor).float())
