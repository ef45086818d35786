"""Measure whether a linear autoencoder has learned the subspace of PCA.

Baldi, Hornik (1989), "Neural networks and principal component analysis: learning from examples
without local minima", Neural Networks 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch

from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.errors import UsageError
from narrows.model.coding import codes
from narrows.model.model import Model

__all__ = ["Certificate", "certify", "rotate_to_principal_axes"]


@dataclass(frozen=True)
class Certificate:
    """The trained subspace, compared with that of PCA.

    ``components`` (n_components, n_features): orthonormal rows, largest variance first.
    ``explained_variance`` (n_components,) and its ratio to the total. ``angles``: principal
    angles to the subspace of PCA in degrees, largest first; None without a PCA baseline.
    """

    components: np.ndarray
    explained_variance: np.ndarray
    explained_variance_ratio: np.ndarray
    angles: np.ndarray | None


def rotate_to_principal_axes(model: Model, source: Source) -> np.ndarray:
    """Rotate the code, in place, to orthonormal axes of decreasing variance; return the variances.

    Rows count by the weights of the source, of mean 1.

    The encoder is multiplied by an invertible matrix and the decoder by its inverse, so that
    reconstructions do not change. As in scikit-learn's PCA, the largest loading of each axis is
    positive.

    Raises
    ------
    UsageError
        If the code is wider than the rows.
    """
    encoder, decoder = model.objective.encoder, model.objective.decoder
    we, b = _float64(encoder.weights[0]), _float64(encoder.biases[0])
    wd, c = _float64(decoder.weights[0]), _float64(decoder.biases[0])
    if len(wd) > wd.shape[1]:
        raise UsageError(
            f"n_components: the certificate needs <= {wd.shape[1]} (n_features), got {len(wd)}."
        )
    q, r = np.linalg.qr(wd.T)  # W_d = r.T @ q.T; the rows of q.T are orthonormal
    blocks = [z.astype(np.float64) @ r.T for z in codes(model, source)]
    n = sum(map(len, blocks))
    weights = [np.ones((len(block), 1)) for block in blocks]
    if source.weights is not None:
        edges = np.cumsum([len(block) for block in blocks])[:-1]
        weights = np.split(source.weights.double().numpy()[:, None], edges)
    weighted_blocks = list(zip(blocks, weights, strict=True))
    mean = sum((w * block).sum(axis=0) for block, w in weighted_blocks) / n
    scatter = sum((w * (block - mean)).T @ (block - mean) for block, w in weighted_blocks)
    covariance = scatter / max(n - 1, 1)
    variances, u = np.linalg.eigh(covariance)
    order = np.argsort(variances)[::-1]
    u = u[:, order]
    axes = u.T @ q.T
    largest = np.abs(axes).argmax(axis=1)
    u *= np.sign(axes[np.arange(len(axes)), largest])
    rotation = r.T @ u  # z' = (z - center) @ rotation
    center = mean @ np.linalg.pinv(r.T)
    new = {
        encoder.weights[0]: we @ rotation,
        encoder.biases[0]: (b - center) @ rotation,
        decoder.weights[0]: u.T @ q.T,
        decoder.biases[0]: center @ wd + c,
    }
    with torch.no_grad():
        for parameter, value in new.items():
            parameter.copy_(torch.from_numpy(value))
    return np.clip(variances[order], 0, None)


def _float64(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().cpu().numpy().astype(np.float64)


def certify(model: Model, source: Source, statistics: Statistics) -> Certificate:
    """Rotate a linear model to its principal axes and compare its subspace with that of PCA."""
    variances = rotate_to_principal_axes(model, source)
    components = model.objective.decoder.weights[0].detach().cpu().numpy().copy()
    scale = model.scaling.scale
    variance = statistics.variance if scale is None else statistics.variance / scale.double() ** 2
    total = float(variance.sum()) * statistics.n_rows / max(statistics.n_rows - 1, 1)
    ratio = variances / total if total > 0 else np.zeros_like(variances)
    angles = None
    if total > 0 and model.baseline is not None and model.baseline.name == "PCA":
        pca = model.baseline.components.numpy()
        radians = scipy.linalg.subspace_angles(np.float64(components.T), np.float64(pca.T))
        angles = np.degrees(radians)
    return Certificate(components, variances.astype(np.float32), ratio.astype(np.float32), angles)
