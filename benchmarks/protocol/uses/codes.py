"""Reconstruct held-out rows from short codes, beside PCA of the same width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

import narrows
from protocol.data import Data
from protocol.errors import Errors, mean_error
from protocol.matrices import Matrix, code_width, matrix, normal_rows
from protocol.rivals.gaussian import ppca_reconstruction
from protocol.rivals.product_kmeans import ProductKMeans
from protocol.splits import Split
from protocol.use import Cell, Method, Use

__all__ = ["CODES"]

TOP_K = 8  # the default k of SparseAutoencoder(sparsity="top_k")


def make(data: Data, split: Split, cell: Cell) -> Matrix:
    return matrix(data, split, cell.size, cell.seed)


def _errors(task: Matrix, rebuilt: np.ndarray) -> dict[str, Errors]:
    """Return the mean over features of the squared error, per held-out row."""
    _, test = task.flat
    difference = rebuilt.reshape(test.shape).astype(np.float64) - test
    return {"squared error": mean_error((difference**2).mean(axis=1))}


def _estimator(make_one: Callable[[int, int], Any], *, images: bool = False) -> Method:
    """Return the method of an estimator, made from a width and a seed."""

    def method(task: Matrix) -> dict[str, Errors]:
        train, test = (task.train, task.test) if images else task.flat
        model = task.guard.fitted(make_one(code_width(task), task.seed), train)
        return _errors(task, model.reconstruct(test))

    return method


def _named(name: str, **arguments: Any) -> Method:
    cls = getattr(narrows, name)
    return _estimator(
        lambda width, seed: cls(n_components=width, random_state=seed, **arguments),
        images=name == "ConvolutionalAutoencoder",
    )


def _pca(width: Callable[[Matrix], int], rebuild: Callable[[PCA, Any], Any]) -> Method:
    def method(task: Matrix) -> dict[str, Errors]:
        train, test = task.flat
        model = task.guard.fitted(PCA(width(task), random_state=0), train)
        return _errors(task, rebuild(model, test))

    return method


def _pca_reconstruction(model: PCA, x: np.ndarray) -> np.ndarray:
    return model.inverse_transform(model.transform(x))


def applies(name: str, task: Matrix) -> bool:
    train, _ = task.flat
    if name in ("top_k", "pca_8"):
        return train.shape[1] >= 2 * TOP_K and len(train) >= 2 * TOP_K
    return name != "convolutional" or task.images


CODES = Use(
    name="codes",
    what="reconstruction of held-out rows from a code of a quarter of the features (2 to 32), "
    "squared error per feature; tables are standardized by the training rows, pixels are in [0, 1]",
    kinds=("table", "image", "embedding", "mixed table", "anomaly table"),
    make=make,
    select=normal_rows,
    estimators={
        "linear": _named("LinearAutoencoder"),
        "plain": _named("Autoencoder"),
        "tied": _named("Autoencoder", tied=True),
        "denoising": _named("DenoisingAutoencoder"),
        "contractive": _named("ContractiveAutoencoder"),
        "sparse": _named("SparseAutoencoder"),
        "top_k": _estimator(
            lambda width, seed: narrows.SparseAutoencoder(sparsity="top_k", random_state=seed)
        ),
        "vector_quantized": _named("VectorQuantizedAutoencoder"),
        "variational": _named("VariationalAutoencoder"),
        "stacked": _named("StackedAutoencoder"),
        "convolutional": _named("ConvolutionalAutoencoder"),
    },
    rivals={
        "pca": _pca(code_width, _pca_reconstruction),
        "ppca": _pca(code_width, ppca_reconstruction),
        "pca_8": _pca(lambda task: TOP_K, _pca_reconstruction),
        "product_kmeans": _estimator(
            lambda width, seed: ProductKMeans(width, random_state=seed)
        ),
    },
    against={
        **dict.fromkeys(
            ("linear", "plain", "tied", "denoising", "contractive", "sparse", "variational",
             "stacked", "convolutional"), ("pca", "ppca")),
        "top_k": ("pca_8",),
        "vector_quantized": ("product_kmeans", "pca"),
    },
    applies=applies,
)  # fmt: skip
