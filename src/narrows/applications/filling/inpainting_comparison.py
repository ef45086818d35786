"""Measure the error of filled-in values, of a model and of fills that need no net."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.filling.baseline_fills import Baselines, baseline_fills
from narrows.applications.filling.inpainting import inpainted
from narrows.applications.printing import shown_as_table
from narrows.core.sparse import dense_rows
from narrows.data.source import Source
from narrows.model.coding import BATCH
from narrows.model.model import Model

__all__ = ["Inpainted", "measure_inpainting"]


@shown_as_table
@dataclass(frozen=True, repr=False)
class Inpainted:
    """Mean squared error of a hidden value, by the name of the method, in ``unit``.

    Errors are NaN if no known value is hidden.
    """

    n_rows: int
    n_hidden: int
    errors: dict[str, float]
    unit: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def table(self) -> str:
        """Return lines to print."""
        if not self.n_hidden:
            return (
                "nothing is hidden: the mask hides no known value, so there is no error to measure"
            )
        lines = [f"{'':<28}{'squared error':>16}"]
        lines += [f"{name:<28}{error:>16.6g}" for name, error in self.errors.items()]
        return "\n".join(
            [
                *lines,
                f"a hidden value, in {self.unit}; {self.n_hidden} hidden of {self.n_rows} rows",
            ]
        )


def measure_inpainting(
    model: Model,
    source: Source,
    hidden: np.ndarray,
    *,
    method: str = "auto",
    baselines: Baselines | None = None,
    seed: int = 0,
    passed: Callable[[int], object] = lambda n: None,
) -> Inpainted:
    """Hide values of rows, fill them in, and return the errors against the true values.

    Missing values, NaN, are filled in but do not count. ``passed`` is called with the number of
    rows of each finished batch.
    """
    sums: dict[str, float] = {}
    n_hidden = first = 0
    blocks = inpainted(
        model, source, hidden, method=method, generator=Generator().manual_seed(seed)
    )
    scaling = model.scaling.to("cpu")
    for raw, (fill, _) in zip(source.in_order(BATCH), blocks, strict=True):
        assert isinstance(raw, Tensor)
        part = hidden if len(hidden) == 1 else hidden[first : first + len(fill)]
        first += len(fill)
        where = torch.from_numpy(np.array(part)).expand(len(fill), -1)
        counted = where & ~raw.isnan()
        n_hidden += int(counted.sum())
        truth = dense_rows(scaling.forward(raw))
        fills = {"autoencoder": dense_rows(scaling.forward(torch.from_numpy(fill)))}
        if baselines is not None:
            fills |= dict(baseline_fills(baselines, scaling, raw, where))
        for name, version in fills.items():
            error = (version - truth)[counted].square().sum(dtype=torch.float64)
            sums[name] = sums.get(name, 0.0) + float(error)
        passed(len(fill))
    errors = {name: total / n_hidden if n_hidden else math.nan for name, total in sums.items()}
    return Inpainted(source.n_rows, n_hidden, errors, f"squared {model.scaling.unit}")
