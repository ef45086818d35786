"""Baselines: bits from latent semantic analysis of the same counts, and TF-IDF without bits.

Gong, Lazebnik, Gordo, Perronnin (2013), "Iterative quantization: a Procrustean approach to learning
binary codes", TPAMI 35; Charikar (2002), "Similarity estimation techniques from rounding
algorithms", STOC (random hyperplanes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from narrows.applications.retrieval.baselines import weighted

__all__ = ["BASELINES", "bits_of"]

_ROUNDS = 50


def lsa_then_sign(train: np.ndarray, test: np.ndarray, n_bits: int, seed: int) -> Any:
    """Threshold the first n_bits numbers of the code at their means."""
    mean = train[:, :n_bits].mean(axis=0)
    return train[:, :n_bits] > mean, test[:, :n_bits] > mean


def itq(train: np.ndarray, test: np.ndarray, n_bits: int, seed: int) -> Any:
    """Rotate the code to minimize the quantization error, then threshold it at 0."""
    mean = train[:, :n_bits].mean(axis=0)
    v, w = train[:, :n_bits] - mean, test[:, :n_bits] - mean
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(n_bits, n_bits)))[0]
    for _ in range(_ROUNDS):
        left, _, right = np.linalg.svd(np.sign(v @ rotation).T @ v)
        rotation = (left @ right).T
    return v @ rotation > 0, w @ rotation > 0


def random_hyperplanes(train: np.ndarray, test: np.ndarray, n_bits: int, seed: int) -> Any:
    """Return the side of random hyperplanes that a row is on, using all numbers of the code."""
    mean = train.mean(axis=0)
    planes = np.random.default_rng(seed).normal(size=(train.shape[1], n_bits))
    return (train - mean) @ planes > 0, (test - mean) @ planes > 0


BASELINES = {"LSA, sign": lsa_then_sign, "ITQ": itq, "random hyperplanes": random_hyperplanes}


def bits_of(
    name: str, train: np.ndarray, test: np.ndarray, n_bits: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return packed bits for the LSA codes of both halves."""
    return tuple(np.packbits(bits, axis=1) for bits in BASELINES[name](train, test, n_bits, seed))  # pyright: ignore[reportReturnType] -- two


def tfidf(train: Any, test: Any) -> tuple[Any, Any]:
    """Return the rows themselves as TF-IDF of log(1 + count)."""
    first, second = weighted(train, test, weighting="log_tfidf")
    return first, second
