"""What the distances of new rows to the training rows say: whether they are copies.

A distance alone does not say "copy": what is near depends on the data, and what a net draws is
smoother than real rows, hence nearer to everything. So the mark is what the same net makes of rows
that it has not seen: a sample that is nearer to a training row than 99 in 100 of those are is
counted, and one sample in a hundred is by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from narrows.applications.printing import PrintsTable

__all__ = ["Memorisation"]

_MARKS = (1, 5)
_BY_CHANCE = 1 / 200
"""A count of near samples that chance gives less often than this is no chance."""


@dataclass(frozen=True, repr=False)
class Memorisation(PrintsTable):
    """Euclidean distances to the nearest training row, in ``unit``, all float64.

    Attributes
    ----------
    distances : ndarray of shape (n_samples,)
    nearest : ndarray of shape (n_samples,)
        The numbers of the nearest training rows.
    real_distances : ndarray of shape (n_reference,)
        The same of real rows: those held out, or ``reference`` says which.
    rebuilt_distances : ndarray of shape (n_reference,)
        Of the same rows once they have gone through the code and back: as smooth as samples are.
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
        """Which samples are nearer to a training row than 99 in 100 rebuilt rows are, booleans."""
        return self.distances < np.percentile(self.rebuilt_distances, _MARKS[0])

    @property
    def expected(self) -> float:
        """How many samples would be that near by chance."""
        return len(self.distances) * _MARKS[0] / 100

    @property
    def memorised(self) -> bool:
        """Whether more samples are that near, or nearer than every rebuilt row is, than chance
        gives in one of 200 draws."""
        n, m = len(self.distances), len(self.rebuilt_distances)
        nearer_than_all = int((self.distances < self.rebuilt_distances.min()).sum())
        counts = ((int(self.copies.sum()), _MARKS[0] / 100), (nearer_than_all, 1 / (m + 1)))
        return any(binom.sf(count - 1, n, share) < _BY_CHANCE for count, share in counts)

    def share_nearer(self, percent: float, *, rebuilt: bool = True) -> float:
        """Return the share of samples nearer than that percentile of the reference's distances."""
        reference = self.rebuilt_distances if rebuilt else self.real_distances
        return float((self.distances < np.percentile(reference, percent)).mean())

    def as_dict(self) -> dict[str, object]:
        """Return JSON values; percentiles and shares stand by their percent."""
        return {
            "n_samples": len(self.distances),
            "n_train": self.n_train,
            "n_reference": len(self.real_distances),
            "reference": self.reference,
            "unit": self.unit,
            "memorised": self.memorised,
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
        """Return lines to print: distances, what share of samples is nearer, and the verdict."""
        rows = [
            ("samples", self.distances, None),
            (self.reference, self.real_distances, False),
            ("the same, rebuilt", self.rebuilt_distances, True),
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
        said = (
            f"{found} of {n} samples are nearer to a training row than 99 in 100 rebuilt rows; "
            f"chance gives {self.expected:g}."
        )
        if not self.memorised:
            return f"No sign of copies: {said}"
        worst = np.argsort(self.distances, kind="stable")[:3]
        named = ", ".join(f"{i} (training row {self.nearest[i]})" for i in worst)
        return f"Copies: {said} The nearest are samples {named}."
