"""Score rows beside stored training rows: distances to the nearest, and tails of single columns.

The density of a net's codes is smooth; distances to neighbors also detect what is unusual locally,
and tails what is unusual in one column of many.

Ramaswamy, Rastogi, Shim (2000), "Efficient algorithms for mining outliers from large data sets",
SIGMOD; Angiulli, Pizzuti (2002), "Fast outlier detection in high dimensional spaces", PKDD (the
mean over the neighbors); Li, Zhao, Hu, Botta, Ionescu, Chen (2022), "ECOD: Unsupervised outlier
detection using empirical cumulative distribution functions", TKDE (the tails).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from sklearn import config_context
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from narrows.core.sparse import dense_rows
from narrows.data.source import Source, evenly_spaced, rows_at_a_time
from narrows.model.parts import check_magnitudes

__all__ = ["RowScore", "fit_row_score"]

_NEIGHBORS = 5
_MAX_ROWS, _MIN_ROWS = 10_000, 50
_MAX_VALUES = 1 << 18
"""Fewer rows than ``_MAX_ROWS`` are stored if they hold more values than this: 1 MiB."""

_SHARES = (1.0, 0.5, 0.25)
"""How far each part spreads over held-out rows, relative to the first."""

_LARGEST = 1e30
"""Scaled values are cut here, so that distances stay finite."""

_BLOCK = 1024
_MAX_WEIGHT = 1e12
_TINY = 1e-12


@dataclass(frozen=True)
class RowScore:
    """What a row scores beside the training rows of each member: the weighted sum of three parts.

    1. The mean Manhattan distance to the five nearest training rows, with columns divided by their
       interquartile ranges;
    2. the same in the units of the input;
    3. the sum over the columns of -log of the share of training rows that are as far out.

    A missing value adds to each part what the other values of its row add on average.

    ``rows`` (n_stored, n_features), float32, are (x - center) / scale of training rows x, with NaN
    for missing values; ``center`` and ``scale`` (n_features,) are float64. ``used`` (n_members,
    n_stored), bool, tells which rows each member was trained on. ``weights`` (3,), float64, convert
    the parts to nats.
    """

    rows: Tensor
    center: Tensor
    scale: Tensor
    used: Tensor
    weights: Tensor

    def of(self, member: int, source: Source) -> np.ndarray:
        """Return the score of every row by a member, (n_samples,), float64."""
        return self.parts(member, source) @ self.weights.numpy()

    def parts(self, member: int, source: Source) -> np.ndarray:
        """Return the three parts of the score of every row, (n_samples, 3), float64."""
        blocks = self._blocks(member, source)
        return np.concatenate([np.stack([t.sum(axis=1) for t in block], axis=1)
                               for block in blocks])  # fmt: skip

    def terms(self, member: int, source: Source) -> np.ndarray:
        """Return what each feature adds to the score, (n_samples, n_features), float64."""
        weights = self.weights.numpy()[:, None, None]
        return np.concatenate([(weights * block).sum(axis=0)
                               for block in self._blocks(member, source)])  # fmt: skip

    def _blocks(self, member: int, source: Source) -> Iterator[np.ndarray]:
        """Yield what each feature adds to each part, (3, rows, n_features), for blocks of rows."""
        parts = self._fitted[member]
        for x in source.in_float64().in_order(rows_at_a_time(source, _BLOCK)):
            z = (dense_rows(x).double() - self.center) / self.scale
            z = z.float().double().clamp(-_LARGEST, _LARGEST).numpy()  # copies are at distance 0
            known = ~np.isnan(z)
            share = z.shape[1] / np.maximum(known.sum(axis=1, keepdims=True), 1)
            filled = np.nan_to_num(z)
            yield np.stack([part.terms(filled) * known * share for part in parts])

    @cached_property
    def _fitted(self) -> list[tuple[_Distances, _Distances, _Tails]]:
        own_units, members = (self.scale / self.scale.max()).numpy(), []
        for used in self.used:
            rows = self.rows[used].double().numpy()
            scaled = _Distances(rows, 1 / _spreads(rows))
            members.append((scaled, _Distances(rows, own_units), _Tails(rows)))
        return members

    def weighted(self, scores: np.ndarray, parts: np.ndarray, *, row_weight: float) -> Self:
        """Return this score with weights that make the first of the ``parts`` (n_samples, 3) of
        held-out rows spread ``row_weight`` times as far as their ``scores`` by nets (n_samples,),
        the second half and the third a quarter of that."""
        spreads = np.array([_upper_spread(part) for part in parts.T])
        weights = row_weight * np.array(_SHARES) * _upper_spread(scores) / spreads
        return replace(self, weights=torch.from_numpy(weights.clip(max=_MAX_WEIGHT)))

    def tensors(self) -> dict[str, Tensor]:
        missing = self.rows.isnan()  # a file holds no NaN
        return ({"missing": missing.to(torch.uint8)} if bool(missing.any()) else {}) | {
            "rows": self.rows.nan_to_num(nan=0.0),
            "center": self.center,
            "scale": self.scale,
            "used": self.used.to(torch.uint8),
            "weights": self.weights,
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], *, n_members: int, n_features: int
    ) -> Self:
        """Rebuild a score from its ``tensors``; raise ValueError if they do not fit."""
        n_stored = len(tensors["rows"])
        shapes = {
            "rows": ((n_stored, n_features), torch.float32),
            "missing": ((n_stored, n_features), torch.uint8),
            "center": ((n_features,), torch.float64),
            "scale": ((n_features,), torch.float64),
            "used": ((n_members, n_stored), torch.uint8),
            "weights": ((len(_SHARES),), torch.float64),
        }
        for name, value in tensors.items():
            if (tuple(value.shape), value.dtype) != shapes.get(name):
                raise ValueError(f"training rows: {name} of {value.dtype}, {tuple(value.shape)}")
        tensors = dict(tensors)
        missing = tensors.pop("missing", torch.zeros(())).bool()
        found = cls(**tensors)
        check_magnitudes({"rows": found.rows, "weights": found.weights})
        if not bool((found.scale > 0).all() and (found.weights >= 0).all()):
            raise ValueError("training rows: a scale or weight is not positive")
        if not bool(found.used.sum(dim=1).gt(0).all() and (found.used <= 1).all()):
            raise ValueError("training rows: a member has none")
        rows = found.rows.masked_fill(missing, torch.nan)
        return replace(found, rows=rows, used=found.used.bool())


class _Distances:
    """Mean Manhattan distances to the nearest of some rows (n, n_features), float64, with columns
    multiplied by factors (n_features,); missing values (NaN) count as 0."""

    def __init__(self, rows: np.ndarray, factors: np.ndarray) -> None:
        self._factors = factors
        self._rows = np.nan_to_num(rows) * factors
        k = min(_NEIGHBORS, len(rows))
        with config_context(array_api_dispatch=False):
            self._index = NearestNeighbors(n_neighbors=k, metric="manhattan").fit(self._rows)

    def terms(self, z: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the distance of rows z, (rows, n_features)."""
        z = z * self._factors
        # NumPy arrays are searched, even if the user has array API dispatch on
        with config_context(array_api_dispatch=False):
            nearest = self._index.kneighbors(z, return_distance=False)
        total = np.zeros_like(z)
        for column in nearest.T:
            total += np.abs(z - self._rows[column])
        return total / nearest.shape[1]


class _Tails:
    """How far out values are among those of some rows (n, n_features) with NaN for missing ones."""

    def __init__(self, rows: np.ndarray) -> None:
        self._columns = [column[~np.isnan(column)] for column in np.sort(rows.T, axis=1)]

    def terms(self, z: np.ndarray) -> np.ndarray:
        """Return -log of twice the smaller tail, at least 0, of each value of rows z."""
        terms = np.empty_like(z)
        for j, column in enumerate(self._columns):
            n = len(column)
            below = 1 + np.searchsorted(column, z[:, j], side="right")
            above = 1 + n - np.searchsorted(column, z[:, j], side="left")
            terms[:, j] = -np.log(np.minimum(1, 2 * np.minimum(below, above) / (n + 1)))
        return terms


def fit_row_score(source: Source, training: list[Tensor]) -> RowScore:
    """Store rows to score others beside: evenly spaced ones if there are too many.

    ``training`` holds the mask, bool (n_samples,), of the training rows of each member. The weights
    are 0.
    """
    most = min(_MAX_ROWS, max(_MIN_ROWS, _MAX_VALUES // source.n_features))
    kept = evenly_spaced(source.n_rows, most)
    while not all(bool(mask[kept].any()) for mask in training):  # large groups
        most *= 2
        kept = evenly_spaced(source.n_rows, most)
    rows = dense_rows(source.in_float64().at(kept)).double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column may be missing in all rows
        center = np.nan_to_num(np.nanmedian(rows, axis=0))
    scale = _spreads(rows)
    return RowScore(
        torch.from_numpy(((rows - center) / scale).astype(np.float32)),
        torch.from_numpy(center),
        torch.from_numpy(scale),
        torch.stack([mask[kept] for mask in training]),
        torch.zeros(len(_SHARES), dtype=torch.float64),
    )


def _spreads(rows: np.ndarray) -> np.ndarray:
    """Return a spread > 0 of each column of rows (n, n_features) with NaN for missing values.

    It is the interquartile range, at least a tenth of the standard deviation; where the range is 0
    it is the standard deviation, and 1 of a constant column.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nan_to_num(np.nanpercentile(rows, [25, 75], axis=0))
        std = np.nan_to_num(np.nanstd(rows, axis=0))
    spread = np.where(high > low, np.maximum(high - low, 0.1 * std), std)
    return np.where(spread > _TINY * np.abs(high), spread, 1.0)


def _upper_spread(values: np.ndarray) -> float:
    """Return how far the 90th percentile of values (n,) is above the median.

    Where these are equal it is the standard deviation; 1 of constant values.
    """
    middle, high = np.percentile(values, [50, 90]).tolist()
    least = _TINY * (1 + abs(middle))
    if high - middle > least:
        return high - middle
    std = float(np.std(values.clip(-_LARGEST, _LARGEST)))
    return std if std > least else 1.0
