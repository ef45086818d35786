"""The correct answers of an index of codes, by comparing all bits of all codes."""

from __future__ import annotations

import numpy as np


def all_distances(queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return Hamming distances (n_queries, n)."""
    bits, others = np.unpackbits(queries, axis=1), np.unpackbits(codes, axis=1)
    return (bits[:, None, :] != others[None]).sum(axis=2)


def nearest(
    queries: np.ndarray, codes: np.ndarray, ids: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and ids (n_queries, k) by (distance, id), -1 if there are fewer."""
    distances = np.full((len(queries), k), -1)
    found = np.full((len(queries), k), -1)
    for row, distance in enumerate(all_distances(queries, codes)):
        order = sorted(range(len(codes)), key=lambda i: (distance[i], ids[i]))[:k]
        distances[row, : len(order)] = distance[order]
        found[row, : len(order)] = ids[order]
    return distances, found


def made_codes(rng: np.random.Generator, n: int, n_bits: int) -> np.ndarray:
    """Return codes in clusters, some of them equal, so that near codes and ties occur."""
    centers = rng.integers(0, 256, (8, n_bits // 8), dtype=np.uint8)
    flips = np.packbits(rng.random((n, n_bits)) < 0.08, axis=1)
    codes = centers[rng.integers(0, 8, n)] ^ flips
    codes[: n // 10] = codes[0]
    return codes
