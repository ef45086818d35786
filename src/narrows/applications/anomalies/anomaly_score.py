"""How surprising a row is: -log p(x | h) - log p(h), from the error and the density of the codes.

An error alone says nothing of a row that the net happens to rebuild although its code is one that
no row of the training has; a density of the codes says nothing of what the code leaves out.

Zong, Song, Min, Cheng, Lumezanu, Cho, Chen (2018), "Deep autoencoding Gaussian mixture model for
unsupervised anomaly detection", ICLR (error and code together, there as inputs of the density).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.applications.anomalies.errors import excess
from narrows.core.slots import Rows, dense_rows
from narrows.core.terms import fill_missing
from narrows.data.source import Source, evenly_spaced
from narrows.losses import SquaredError
from narrows.model.coding import scaled_batches, whole_vectors
from narrows.model.density import Density, fit_densities, fit_gaussian, rows_for
from narrows.model.model import Model
from narrows.model.parts import check_magnitudes

__all__ = ["AnomalyScore", "trimmed_rows", "fit_anomaly_score", "occlusions", "anomaly_scores"]

_LEAST_VARIANCE = 1e-3
"""Of a residual, as a share of a feature's mean variance: what the net rebuilds to the last digit
must not drown everything else."""

_FLOOR = 1e-2
"""Of the code's mean variance: so far are its directions blurred."""

_TINY = 1e-12
_ROUNDS = 3


@dataclass(frozen=True)
class AnomalyScore:
    """S(x) = sum_j E_j(x) + - log p(f(x)), in nats up to a constant.

    E_j is (x_j - r_j)^2 / (2 v_j) for squared errors, the residuals having variance v_j; for losses
    in nats their excess over a perfect reconstruction, and ``variances`` are 1/2.

    ``variances`` (n_features,) and ``floor`` () are > 0; ``means`` (n_features,) are those of the
    scaled rows. All are float32.
    """

    density: Density
    variances: Tensor
    means: Tensor
    floor: Tensor

    def of(self, model: Model, x: Rows) -> Tensor:
        """Return S of scaled rows, (rows,), float64."""
        h = model.objective.encode(whole_vectors(x)).h
        errors = excess(model, x, h) @ (0.5 / self.variances.double()).to(model.device)
        return errors - self.density.log_density(h[: len(x)], floor=float(self.floor))

    def tensors(self) -> dict[str, Tensor]:
        density = {f"density.{name}": value for name, value in self.density.tensors().items()}
        own = {"variances": self.variances, "means": self.means, "floor": self.floor}
        return own | density

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], model: Model) -> AnomalyScore:
        """Return what ``tensors`` gave, or raise ValueError where they do not fit the model."""
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
        """Raise ValueError unless S of a row of zeros and of one of ones is finite."""
        n = model.schema.n_features
        x = torch.stack([torch.zeros(n), torch.ones(n)]).to(model.device)
        if not bool(torch.isfinite(self.of(model, x)).all()):
            raise ValueError("the score of a row is not finite: a scale is too large or small")


@torch.no_grad()
def anomaly_scores(model: Model, score: AnomalyScore, source: Source) -> Iterator[np.ndarray]:
    """Yield S of every row, float64; a value that the loss refuses raises."""
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        yield score.of(model, x).cpu().numpy()


@torch.no_grad()
def occlusions(model: Model, score: AnomalyScore, source: Source) -> Iterator[np.ndarray]:
    """Yield by how much each row would score less with its feature j at the mean of all rows.

    max(0, S(x) - S(x with x_j = mean_j)), (rows, n_features), float64: it holds for what is wrong
    with the code as for what the code leaves out. Cost: n_features times that of S.
    """
    for _, rows in scaled_batches(model, source):
        x = dense_rows(rows)
        whole, means = score.of(model, x), score.means.to(model.device)
        drops = torch.empty(x.shape, dtype=torch.float64)
        for j in range(x.shape[1]):
            other = x.clone()
            other[:, j] = means[j]
            drops[:, j] = (whole - score.of(model, other)).clamp_min(0).cpu()
        yield drops.numpy()


def trimmed_rows(model: Model, source: Any, *, trim: float, seed: int) -> Tensor:
    """Return the numbers of the rows that are left without the share ``trim`` of the oddest.

    S is fitted to all, the oddest are left out, and it is fitted to the others, three times over.
    Its density is one normal here: a cluster of anomalies would be a part of a mixture and pass.

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
    """Fit the variances of the residuals and the density of the codes to the model's own rows.

    The density is the mixture of ``fit_densities``, or one normal; it reads at most as many rows
    as that takes, evenly spaced.
    """
    residual, sums, squares = torch.zeros(3, source.n_features, dtype=torch.float64)
    codes: list[np.ndarray] = []
    for _, x in scaled_batches(model, source):
        code = model.objective.encode(whole_vectors(x)).h
        residual += excess(model, x, code).sum(dim=0).cpu()
        wide = dense_rows(fill_missing(x, model.objective.corruption)[0]).double().cpu()
        sums, squares = sums + wide.sum(dim=0), squares + wide.square().sum(dim=0)
        codes.append(code[: len(x)].cpu().numpy())
    h, n = np.concatenate(codes), source.n_rows
    read = evenly_spaced(n, rows_for(source.n_features, model.n_components)).numpy()
    density = fit_densities(h[read], seed=seed)["mixture"] if mixture else fit_gaussian(h[read])
    floor = max(_FLOOR * float(h.var(axis=0, dtype=np.float64).mean()), _TINY)
    if isinstance(model.objective.loss, SquaredError):
        spread = float((squares / n - (sums / n).square()).mean())
        variances = (residual / n).clamp_min(max(_LEAST_VARIANCE * spread, _TINY))
    else:
        variances = torch.full_like(residual, 0.5)
    return AnomalyScore(density, variances.float(), (sums / n).float(), torch.tensor(floor).float())
