"""Clean rows out of corrupted ones, and how much of the corruption is undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.printing import PrintsTable
from narrows.core.slots import Corruption, Rows, dense_rows
from narrows.core.terms import fill_missing
from narrows.data.source import Source
from narrows.losses import SquaredError
from narrows.model.coding import in_input_units, reconstruct_corrupted, scaled_batches
from narrows.model.model import Model

__all__ = [
    "Denoising",
    "corrupted_rows",
    "denoised",
    "denoised_after",
    "measure_denoising",
    "with_known",
]


@torch.no_grad()
def denoised(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield g(f(x)) in input units for rows that are corrupted themselves.

    Where the model admits missing values, those that are known stay and only the others are
    filled in.
    """
    for raw, x in scaled_batches(model, source):
        mean = in_input_units(model, model.objective.reconstruct(x), raw)
        yield with_known(model, mean, raw).cpu().numpy()


def with_known(model: Model, fill: Tensor, rows: Rows) -> Tensor:
    """Return what was made of rows, with their known values where the model admits missing ones."""
    if model.objective.corruption.admits_missing and isinstance(rows, Tensor):
        return torch.where(rows.isnan(), fill, rows)
    return fill


@torch.no_grad()
def denoised_after(
    model: Model, source: Source, corruption: Corruption, *, generator: Generator
) -> Iterator[np.ndarray]:
    """Yield g(f(x~)) in input units, every value rebuilt, for clean rows that are corrupted here.

    With the same generator they are the rows that ``measure_denoising`` measures.
    """
    for raw, x, _, noisy in _corrupted(model, source, corruption, generator):
        yield in_input_units(model, reconstruct_corrupted(model, noisy, x), raw).cpu().numpy()


@dataclass(frozen=True, repr=False)
class Denoising(PrintsTable):
    """Squared error to the clean rows, summed over features and averaged over rows, in ``unit``."""

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
    """Corrupt clean rows, denoise them, and measure against the clean ones."""
    squared = SquaredError()
    sums = torch.zeros(3, dtype=torch.float64)
    for _, x, known, noisy in _corrupted(model, source, corruption, generator):
        versions = [dense_rows(noisy), reconstruct_corrupted(model, noisy, x)]
        if model.baseline is not None:
            versions.append(model.baseline.reconstruct(noisy.to("cpu")).to(model.device))
        for i, version in enumerate(versions):
            sums[i] += squared.per_sample(version, x, known).double().sum().cpu()
    corrupted, ours, theirs = (float(total) / source.n_rows for total in sums)
    return Denoising(
        n_rows=source.n_rows,
        corrupted=corrupted,
        denoised=ours,
        baseline=model.baseline.name if model.baseline else None,
        baseline_denoised=theirs if model.baseline else None,
        unit=f"{squared.unit}, in {model.scaling.unit}",
    )


@torch.no_grad()
def corrupted_rows(
    model: Model, source: Source, at: Tensor, corruption: Corruption, *, generator: Generator
) -> Tensor:
    """Return the rows of the numbers ``at``, which rise, as they are corrupted among all rows.

    Scaled, dense, on the CPU: for a picture of what ``denoised_after`` yields.
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
    """Yield rows as they are, scaled without what is missing, 1 where they are known, corrupted."""
    for raw, clean in scaled_batches(model, source):
        x, known = fill_missing(clean, model.objective.corruption)
        yield raw, x, known, corruption(x, generator=generator).rows
