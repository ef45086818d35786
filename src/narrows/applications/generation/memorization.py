"""Measure whether generated rows are copies of training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor

from narrows.applications.printing import shown_as_table
from narrows.core.checks import check_number
from narrows.core.sparse import Rows, SparseRows, dense_rows
from narrows.data.array_sources import DenseSource
from narrows.data.source import Source, evenly_spaced, evenly_spaced_rows
from narrows.errors import InvalidData
from narrows.model.coding import filled_batches, padded_call
from narrows.model.model import Model

__all__ = ["MAX_CHECKED", "Memorization", "closest_rows", "measure_memorization"]

MAX_CHECKED = 10_000
"""Largest number of samples: they are held in memory."""

_MAX_REFERENCE = 2_000
_MAX_VALUES = 32 << 20
_BLOCK = 1024


def measure_memorization(
    model: Model,
    samples: np.ndarray,
    train: Source,
    held_out: Source | None = None,
    *,
    block: int = _BLOCK,
) -> Memorization:
    """Measure the distances of samples (n, n_features), in input units, to the training rows.

    Every sample is compared with every training row, in float64: O(n x n_train x n_features) time,
    memory for ``block`` times n distances. The reference are up to 2,000 evenly spaced rows of
    ``held_out``; without it, training rows, each compared with all others. Missing values are
    compared as the net fills them in.

    Raises
    ------
    InvalidData
        If there are no samples or more than 10,000, the numbers of features differ, values are not
        finite, or there are fewer than two training rows.
    """
    check_number("block", block, low=1, integer=True)
    samples = np.asarray(samples)
    samples = samples.astype(np.float64 if samples.dtype == np.float64 else np.float32, copy=False)
    _check(model, samples, train, held_out)
    real, numbers = _reference(model, train if held_out is None else held_out)
    numbers = numbers if held_out is None else None
    scaled = _scaled(model, DenseSource(samples))
    points = [(scaled, None), (real, numbers), (_rebuilt(model, real), numbers)]
    found = closest_rows(model, train, points, block)
    (nearest, distances), (_, of_real), (_, of_rebuilt) = found
    return Memorization(
        distances=distances,
        nearest=nearest,
        real_distances=of_real,
        rebuilt_distances=of_rebuilt,
        n_train=train.n_rows,
        reference="held-out rows" if held_out is not None else "training rows, from the others",
        unit=model.scaling.unit,
    )


def _check(model: Model, samples: np.ndarray, train: Source, held_out: Source | None) -> None:
    if samples.ndim != 2 or not 1 <= len(samples) <= MAX_CHECKED:
        raise InvalidData(f"samples: expected 1 to {MAX_CHECKED} rows, got shape {samples.shape}.")
    widths = {"samples": samples.shape[1], train.origin: train.n_features}
    if held_out is not None:
        widths[held_out.origin] = held_out.n_features
    for name, width in widths.items():
        if width != model.schema.n_features:
            raise InvalidData(
                f"{name}: has {width} features, the model has {model.schema.n_features}."
            )
    if train.n_rows < 2:
        raise InvalidData(
            f"{train.origin}: at least two training rows are needed, got {train.n_rows}."
        )


def _reference(model: Model, source: Source) -> tuple[Tensor, Tensor]:
    """Return scaled rows, (n, n_features), and their numbers in the source."""
    n = min(_MAX_REFERENCE, max(2, _MAX_VALUES // source.n_features))
    rows = dense_rows(evenly_spaced_rows(source, n))
    picked = DenseSource(rows)
    picked.origin = source.origin
    return _scaled(model, picked), evenly_spaced(source.n_rows, n)


@torch.no_grad()
def _scaled(model: Model, source: Source) -> Tensor:
    return torch.cat([dense_rows(x) for _, x, _ in filled_batches(model, source)])


@torch.no_grad()
def _rebuilt(model: Model, x: Tensor) -> Tensor:
    batches = x.split(_BLOCK)
    return torch.cat([padded_call(model.objective.reconstruct, batch) for batch in batches])


_ROUNDING = 1e-13
"""A squared distance below this share of the squared length is rounding, and counts as 0."""


@torch.no_grad()
def closest_rows(
    model: Model, train: Source, queries: Sequence[tuple[Tensor, Tensor | None]], block: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each set of points, the numbers of the nearest training rows and the distances.

    Distances are Euclidean, between scaled rows, in float64; of equally near rows the first is
    taken. Training rows of counts that are all 0 are left out. One pass over the rows, ``block``
    dense rows at a time: O(n x n_train x n_features), memory O(n x (n_features + block)).

    Parameters
    ----------
    queries : sequence of (points, numbers)
        Points are scaled rows (n, n_features). If numbers (n,) are given, the points are these
        training rows, or their reconstructions, and are compared with the other rows only.
    """
    points = [x.double() for x, _ in queries]
    squares = [x.square().sum(dim=1) for x in points]
    best = [torch.full_like(s, torch.inf) for s in squares]
    numbers = [torch.zeros(len(s), dtype=torch.int64, device=s.device) for s in squares]
    for first, rows in _blocks(model, train, block):
        norms = _squares(rows)
        if model.scaling.shares:  # an empty row is near all rows of many small shares
            norms = torch.where(norms == 0, torch.inf, norms)
        for i, (_, own) in enumerate(queries):
            d = squares[i] + norms[:, None] - 2 * _times(rows, points[i])
            if own is not None:
                here = torch.nonzero((own >= first) & (own < first + len(rows)))[:, 0]
                d[(own[here] - first).to(d.device), here.to(d.device)] = torch.inf
            value, at = d.min(dim=0)
            numbers[i] = torch.where(value < best[i], at + first, numbers[i])
            best[i] = torch.minimum(value, best[i])
    return [
        (n.cpu().numpy(), torch.where(b > _ROUNDING * s, b, 0.0).sqrt().cpu().numpy())
        for n, b, s in zip(numbers, best, squares, strict=True)
    ]


def _blocks(model: Model, train: Source, block: int) -> Iterator[tuple[int, Rows]]:
    first = 0
    for _, x, _ in filled_batches(model, train):
        if isinstance(x, SparseRows):
            yield first, x.with_values(x.values.double())
        else:
            for start in range(0, len(x), block):
                yield first + start, x[start : start + block].double()
        first += len(x)


def _squares(x: Rows) -> Tensor:
    if isinstance(x, SparseRows):
        return x.with_values(x.values.square()).row_sums()
    return x.square().sum(dim=1)


def _times(x: Rows, points: Tensor) -> Tensor:
    """Return x @ points^T, (rows, n)."""
    return x.matmul(points.t().contiguous()) if isinstance(x, SparseRows) else x @ points.t()


_MARKS = (1, 5)
_BY_CHANCE = 1 / 200
"""Significance level: a count of near samples that is less likely by chance means copies."""


@shown_as_table
@dataclass(frozen=True, repr=False)
class Memorization:
    """Euclidean distances to the nearest training row, in ``unit``, float64.

    Attributes
    ----------
    distances : ndarray of shape (n_samples,)
        Distances of the samples.
    nearest : ndarray of shape (n_samples,)
        The numbers of the nearest training rows.
    real_distances : ndarray of shape (n_reference,)
        Distances of real rows, which ``reference`` names.
    rebuilt_distances : ndarray of shape (n_reference,)
        Distances of the reconstructions of these rows, which are as smooth as samples.
    """

    distances: np.ndarray
    nearest: np.ndarray
    real_distances: np.ndarray
    rebuilt_distances: np.ndarray
    n_train: int
    reference: str
    unit: str

    @property
    def copies(self) -> np.ndarray:
        """Which samples are nearer to a training row than 99% of the reconstructions, boolean."""
        return self.distances < np.percentile(self.rebuilt_distances, _MARKS[0])

    @property
    def expected(self) -> float:
        """The number of samples that would be that near by chance."""
        return len(self.distances) * _MARKS[0] / 100

    @property
    def memorized(self) -> bool:
        """Whether there are significantly many such samples, or samples nearer than all
        reconstructions: more than chance gives in one of 200 draws."""
        n, m = len(self.distances), len(self.rebuilt_distances)
        nearer_than_all = int((self.distances < self.rebuilt_distances.min()).sum())
        counts = ((int(self.copies.sum()), _MARKS[0] / 100), (nearer_than_all, 1 / (m + 1)))
        return any(binom.sf(count - 1, n, share) < _BY_CHANCE for count, share in counts)

    def share_nearer(self, percent: float, *, rebuilt: bool = True) -> float:
        """Return the share of samples nearer than a percentile of the reference distances."""
        reference = self.rebuilt_distances if rebuilt else self.real_distances
        return float((self.distances < np.percentile(reference, percent)).mean())

    def as_dict(self) -> dict[str, object]:
        """Return JSON values; percentiles and shares are keyed by their percent."""
        return {
            "n_samples": len(self.distances),
            "n_train": self.n_train,
            "n_reference": len(self.real_distances),
            "reference": self.reference,
            "unit": self.unit,
            "memorized": self.memorized,
            "copies": np.flatnonzero(self.copies).tolist(),
            "expected_by_chance": self.expected,
            "median": float(np.median(self.distances)),
            "real": self._against(self.real_distances, rebuilt=False),
            "rebuilt": self._against(self.rebuilt_distances, rebuilt=True),
            "distances": self.distances.tolist(),
            "nearest": self.nearest.tolist(),
        }

    def _against(self, distances: np.ndarray, *, rebuilt: bool) -> dict[str, object]:
        return {
            "median": float(np.median(distances)),
            "percentiles": {str(p): float(np.percentile(distances, p)) for p in _MARKS},
            "samples_nearer": {str(p): self.share_nearer(p, rebuilt=rebuilt) for p in _MARKS},
        }

    def table(self) -> str:
        """Return lines to print: distances, shares of nearer samples, and the verdict."""
        rows = [
            ("samples", self.distances, None),
            (self.reference, self.real_distances, False),
            ("the same, reconstructed", self.rebuilt_distances, True),
        ]
        lines = [
            f"{'distance to the nearest training row':<38}{'rows':>7}{'median':>9}{'1st pct':>9}"
            f"{'5th pct':>9}   samples nearer than 1st, 5th"
        ]
        for name, distances, rebuilt in rows:
            marks = "".join(f"{np.percentile(distances, p):>9.4g}" for p in _MARKS)
            line = f"{name:<38}{len(distances):>7}{np.median(distances):>9.4g}{marks}"
            if rebuilt is not None:
                shares = (f"{self.share_nearer(p, rebuilt=rebuilt):.1%}" for p in _MARKS)
                line += "   " + ", ".join(shares)
            lines.append(line)
        lines.append(f"Euclidean, in {self.unit}; {self.n_train} training rows")
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        found, n = int(self.copies.sum()), len(self.distances)
        summary = (
            f"{found} of {n} samples are nearer to a training row than 99 in 100 reconstructed "
            f"rows; chance gives {self.expected:g}."
        )
        if not self.memorized:
            return f"No sign of copies: {summary}"
        worst = np.argsort(self.distances, kind="stable")[:3]
        named = ", ".join(f"{i} (training row {self.nearest[i]})" for i in worst)
        return f"Copies: {summary} The nearest are samples {named}."
