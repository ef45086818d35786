"""Fit the linear baseline that a net is compared with: PCA, or TruncatedSVD for sparse rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils.extmath import svd_flip
from torch import Generator, Tensor

from narrows._types import Outputs, PerSample
from narrows.core.sparse import Rows, SparseRows
from narrows.data.scaling import Scaling
from narrows.data.source import Source, drawn_by_weight
from narrows.losses import SquaredError

__all__ = [
    "MAX_ROWS",
    "Baseline",
    "fill_with_means",
    "fit_baseline",
    "sample_size",
    "sampled_rows",
    "truncated_svd",
]

MAX_ROWS = 100_000
MAX_VALUES = 64 << 20
"""Of more rows, or more dense values, a sample is used: time and memory stay bounded."""

_EXACT_FEATURES = 4096


@dataclass(frozen=True)
class Baseline:
    """A linear code of the width of the model's code, fitted to the same scaled rows.

    ``mean`` (n_features,) is None for TruncatedSVD; ``components`` (width, n_features) are
    orthonormal rows. There are fewer than the code has if the data have fewer dimensions.
    """

    name: str
    components: Tensor
    mean: Tensor | None = None

    def codes(self, x: Rows) -> Tensor:
        """Return x V' of scaled rows, up to a shift; NaN counts as the mean."""
        if isinstance(x, SparseRows):
            return x.matmul(self.components.t().contiguous())
        centered = (x if self.mean is None else x - self.mean).nan_to_num(nan=0.0)
        return centered @ self.components.t()

    def reconstruct(self, x: Rows) -> Outputs:
        """Return the least-squares reconstruction of scaled rows; NaN counts as the mean."""
        if isinstance(x, SparseRows) and self.mean is not None:
            x = x.to_dense()
        rebuilt = self.codes(x) @ self.components
        return rebuilt if self.mean is None else rebuilt + self.mean

    def error(self, x: Rows) -> PerSample:
        """Return the squared error per sample, in squared units of the scaled features.

        Missing values, NaN, count as the mean in the input and not at all in the error.
        """
        rebuilt = self.reconstruct(x)
        known = x if isinstance(x, SparseRows) else torch.where(x.isnan(), rebuilt, x)
        return SquaredError().per_sample(rebuilt, known)

    def tensors(self) -> dict[str, Tensor]:
        parts = {"components": self.components}
        return parts if self.mean is None else {**parts, "mean": self.mean}


def fit_baseline(source: Source, scaling: Scaling, width: int, *, seed: int) -> Baseline | None:
    """Fit PCA, or TruncatedSVD to sparse rows, to a bounded sample of rows.

    Rows count by the weights of the source. Return None if the squares of the values overflow.
    """
    # scikit-learn warns of the ratio of explained variance of a constant table; it is not used
    with np.errstate(all="ignore"), suppress(np.linalg.LinAlgError, ValueError):
        x, weights = sampled_rows(source, scaling, sample_size(source), seed=seed)
        if isinstance(x, SparseRows):
            baseline = truncated_svd(x, weights, width, seed=seed)
        else:
            baseline = _pca(x, weights, width, seed)
        if bool(torch.isfinite(baseline.components).all()):
            return baseline
    return None


def sample_size(source: Source) -> int:
    """Return the largest number of rows of a source that a baseline is fitted to."""
    if source.sparse:
        return MAX_ROWS
    return min(MAX_ROWS, max(1000, MAX_VALUES // source.n_features))


def sampled_rows(
    source: Source, scaling: Scaling, n_rows: int, *, seed: int
) -> tuple[Rows, Tensor | None]:
    """Return at most ``n_rows`` scaled rows, and their weights unless they were drawn by them."""
    generator = Generator().manual_seed(seed)
    if source.weights is not None and n_rows < source.n_rows:
        return scaling.forward(drawn_by_weight(source, n_rows, generator=generator)), None
    return scaling.forward(source.sample(n_rows, generator=generator)), source.weights


def truncated_svd(x: Rows, weights: Tensor | None, width: int, *, seed: int) -> Baseline:
    """Return the first right singular vectors of rows (n_rows, n_features), dense or sparse."""
    n_rows, n_features = x.shape
    if isinstance(x, SparseRows):
        parts = (x.values.numpy(), x.indices.numpy(), x.indptr.numpy())
        matrix = sp.csr_array(parts, shape=x.shape)
    else:
        matrix = sp.csr_array(x.numpy())
    if weights is not None:
        matrix = sp.csr_array(sp.diags_array(weights.sqrt().numpy()) @ matrix)
    width = max(1, min(width, n_rows - 1, n_features - 1))
    svd = TruncatedSVD(width, random_state=seed).fit(matrix)
    return Baseline("TruncatedSVD", _float32(svd.components_))


def _pca(x: Tensor, weights: Tensor | None, width: int, seed: int) -> Baseline:
    n_rows, n_features = x.shape
    if weights is not None:
        return _weighted_pca(x, weights, min(width, n_rows, n_features), seed)
    x = fill_with_means(x)
    width = min(width, n_rows, n_features)
    solver = "full"
    if n_features <= _EXACT_FEATURES and n_rows >= n_features:
        solver = "covariance_eigh"
    elif width < 0.8 * min(n_rows, n_features):
        solver = "randomized"
    pca = PCA(width, svd_solver=solver, random_state=seed).fit(x.numpy())
    return Baseline("PCA", _float32(pca.components_), _float32(pca.mean_))


def fill_with_means(x: Tensor) -> Tensor:
    """Return rows with missing values at the mean of their feature, or at 0 if all are missing."""
    return torch.where(x.isnan(), x.nanmean(dim=0).nan_to_num(nan=0.0), x)


def _weighted_pca(x: Tensor, weights: Tensor, width: int, seed: int) -> Baseline:
    """Return PCA of rows (n_rows, n_features) with weights (n_rows,); NaN counts as the mean."""
    w, known = weights.double()[:, None], ~x.isnan()
    values = torch.where(known, x, 0.0).double()
    total = (w * known).sum(dim=0)
    mean = (w * values).sum(dim=0) / torch.where(total > 0, total, 1.0)
    centered = (torch.where(known, values - mean, 0.0) * w.sqrt()).numpy()
    n_rows, n_features = centered.shape
    if n_features <= _EXACT_FEATURES:
        components = np.linalg.eigh(centered.T @ centered)[1][:, : -width - 1 : -1].T
    else:
        width = max(1, min(width, n_rows - 1))
        components = TruncatedSVD(width, random_state=seed).fit(centered).components_
    components = svd_flip(None, components, u_based_decision=False)[1]  # as PCA
    return Baseline("PCA", _float32(components), _float32(mean.numpy()))


def _float32(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
