"""Draw held-out rows and training rows as disjoint index arrays, before anything else happens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocol.digests import row_digests

__all__ = ["SIZES", "Split", "sizes_up_to", "split", "split_anomalies"]

SIZES = (30, 60, 130, 400, 1000, 4000, 15_000, 60_000)
"""Numbers of training rows, in about equal steps on a logarithmic scale."""

MOST_TEST = 1000


@dataclass(frozen=True)
class Split:
    """Indices of held-out rows, and of all rows that may be trained on, in a random order.

    The first n training rows are the training set of size n, so that larger ones contain smaller
    ones.
    """

    train: np.ndarray
    test: np.ndarray


def sizes_up_to(n: int, ladder: tuple[int, ...] = SIZES) -> list[int]:
    """Return the sizes that n training rows allow, and n itself if it is far above the last."""
    sizes = [size for size in ladder if size <= n]
    if (not sizes and n >= ladder[0] * 0.6) or (sizes and sizes[-1] < ladder[-1]
                                                and n >= 1.5 * sizes[-1]):  # fmt: skip
        sizes.append(n)
    return sizes


def _apart(rows, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the training indices without rows that equal a held-out row."""
    digests = np.asarray(row_digests(rows))
    return train[~np.isin(digests[train], digests[test])]


def split(rows, seed: int, *, is_test: np.ndarray | None = None, most: int = MOST_TEST) -> Split:
    """Hold out a third of the rows, at most ``most``.

    A published test half (``is_test``) is kept: held-out rows come from it alone, and training rows
    never do. Training rows that equal a held-out row are dropped.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(rows))
    if is_test is not None:
        test = order[is_test[order]][:most]
        train = order[~is_test[order]]
    else:
        n_test = min(most, len(rows) // 3)
        test, train = order[:n_test], order[n_test:]
    return Split(_apart(rows, train, test), test)


def split_anomalies(rows, y: np.ndarray, seed: int, *, clean: bool, most: int = MOST_TEST) -> Split:
    """Hold out a third of the normal rows and of the anomalies, at most ``most`` of each.

    The held-out rows do not depend on ``clean``. Clean training rows are normal ones only.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(rows))
    parts = [order[y[order] == label] for label in (0, 1)]
    test = np.concatenate([part[: min(most, max(len(part) // 3, 1))] for part in parts])
    train = order[~np.isin(order, test)]
    if clean:
        train = train[y[train] == 0]
    return Split(_apart(rows, train, test), test)
