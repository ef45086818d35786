"""Denoise rows, and measure how much of a known corruption is undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.printing import shown_as_table
from narrows.core.slots import Corruption
from narrows.core.sparse import Rows, dense_rows
from narrows.data.source import Source
from narrows.losses import SquaredError
from narrows.model.coding import (
    filled_batches,
    in_input_units,
    reconstruct_corrupted,
    scaled_batches,
)
from narrows.model.model import Model

__all__ = [
    "Denoising",
    "corrupted_rows",
    "denoised",
    "denoised_after",
    "measure_denoising",
    "missing_again",
    "with_known",
]


@torch.no_grad()
def denoised(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield g(f(x)) in input units for corrupted rows.

    If the model admits missing values, known values stay and only the missing ones are filled in.
    """
    for raw, x in scaled_batches(model, source):
        mean = in_input_units(model, model.objective.reconstruct(x), raw)
        yield with_known(model, mean, raw).cpu().numpy()


def with_known(model: Model, fill: Tensor, rows: Rows) -> Tensor:
    """Return ``fill``, with the known values of ``rows`` if the model admits missing values."""
    if model.objective.corruption.admits_missing and isinstance(rows, Tensor):
        return torch.where(rows.isnan(), fill, rows)
    return fill


@torch.no_grad()
def denoised_after(
    model: Model, source: Source, corruption: Corruption, *, generator: Generator
) -> Iterator[np.ndarray]:
    """Corrupt clean rows and yield g(f(x~)) in input units; known values are reconstructed too.

    With the same generator these are the rows that ``measure_denoising`` measures.
    """
    for raw, x, _, noisy in _corrupted(model, source, corruption, generator):
        yield in_input_units(model, reconstruct_corrupted(model, noisy, x), raw).cpu().numpy()


def missing_again(rows: Rows, known: Tensor | None) -> Rows:
    """Return rows with NaN where ``known`` is 0, instead of the net's fill: for the baseline."""
    if known is None or not isinstance(rows, Tensor):
        return rows
    return torch.where(known > 0, rows, torch.nan)


@shown_as_table
@dataclass(frozen=True, repr=False)
class Denoising:
    """Squared error against the clean rows, sum over features, mean over rows, in ``unit``."""

    n_rows: int
    corrupted: float
    denoised: float
    baseline: str | None
    baseline_denoised: float | None
    unit: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def table(self) -> str:
        """Return lines to print."""
        rows = [("corrupted", self.corrupted), ("denoised", self.denoised)]
        if self.baseline is not None and self.baseline_denoised is not None:
            rows.insert(1, (f"by {self.baseline}", self.baseline_denoised))
        lines = [f"{'':<18}{'squared error':>16}"]
        lines += [f"{name:<18}{error:>16.6g}" for name, error in rows]
        return "\n".join([*lines, f"in {self.unit}; {self.n_rows} rows"])


@torch.no_grad()
def measure_denoising(
    model: Model, source: Source, corruption: Corruption, *, generator: Generator
) -> Denoising:
    """Corrupt clean rows, denoise them, and return the squared errors against the clean rows."""
    squared = SquaredError()
    sums = torch.zeros(3, dtype=torch.float64)
    for _, x, known, noisy in _corrupted(model, source, corruption, generator):
        versions = [dense_rows(noisy), reconstruct_corrupted(model, noisy, x)]
        if model.baseline is not None:
            given = missing_again(noisy, known)
            versions.append(model.baseline.reconstruct(given.to("cpu")).to(model.device))
        for i, version in enumerate(versions):
            sums[i] += squared.per_sample(version, x, known).double().sum().cpu()
    corrupted, by_model, by_baseline = (float(total) / source.n_rows for total in sums)
    return Denoising(
        n_rows=source.n_rows,
        corrupted=corrupted,
        denoised=by_model,
        baseline=model.baseline.name if model.baseline else None,
        baseline_denoised=by_baseline if model.baseline else None,
        unit=f"{squared.unit}, in {model.scaling.unit}",
    )


@torch.no_grad()
def corrupted_rows(
    model: Model, source: Source, at: Tensor, corruption: Corruption, *, generator: Generator
) -> Tensor:
    """Return the corrupted rows with the numbers ``at``, ascending, scaled, dense and on the CPU.

    They are corrupted together with all other rows, so that with the same generator they are the
    rows that ``denoised_after`` denoises: for a figure.
    """
    found, first = [], 0
    for _, _, _, noisy in _corrupted(model, source, corruption, generator):
        here = at[(at >= first) & (at < first + len(noisy))] - first
        found.append(dense_rows(noisy).cpu()[here])
        first += len(noisy)
        if first > at[-1]:
            break
    return torch.cat(found)


def _corrupted(
    model: Model, source: Source, corruption: Corruption, generator: Generator
) -> Iterator[tuple[Rows, Rows, Tensor | None, Rows]]:
    """Yield each batch as: rows in input units, scaled rows with missing values filled in, which
    values are known (1 or 0; None for all), and the corrupted rows."""
    for raw, x, known in filled_batches(model, source):
        yield raw, x, known, corruption(x, generator=generator).rows
