"""How well hidden values are found, beside the fills that need no net."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.filling.fills import SubspaceFill, fit_subspace, mean_fill, nearest_fill
from narrows.applications.filling.inpainting import inpainted
from narrows.applications.printing import PrintsTable
from narrows.core.slots import Rows, dense_rows
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.model.coding import BATCH
from narrows.model.model import Model

__all__ = ["Inpainted", "Baselines", "fit_baselines", "measure_inpainting", "baseline_fills"]

BASELINE_ROWS = 60_000
WIDTH = 30


@dataclass(frozen=True)
class Baselines:
    """Training rows (rows, n_features), scaled, and the linear fill fitted to them.

    ``prints`` are the hashes of the rows in input units.
    """

    rows: Tensor
    subspace: SubspaceFill
    prints: frozenset[int]

    def fills(self, x: Tensor, hidden: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield names and fills of scaled rows (n, n_features).

        As many components as features leave nothing out: by least squares they fill in the mean,
        which stands there already, and their conditional mean is that of a full Gaussian.
        """
        subspace = self.subspace
        width, n_features = subspace.components.shape
        yield "mean", mean_fill(x, hidden, subspace.mean)
        if width < n_features:
            name = f"PCA-{width}"
            yield f"{name}, least squares", subspace.least_squares(x, hidden)
        else:
            name = "Gaussian"
        yield f"{name}, conditional mean", subspace.conditional_mean(x, hidden)
        yield "nearest row", nearest_fill(x, hidden, self.rows)

    def n_among(self, source: Source) -> int:
        """Return how many rows of a dense source, in input units, are training rows themselves."""
        blocks = source.in_order(BATCH)
        return sum(number in self.prints for raw in blocks for number in _prints(raw))


def fit_baselines(
    scaling: Scaling,
    source: Source,
    *,
    n_features: int | None = None,
    width: int = WIDTH,
    seed: int = 0,
) -> Baselines:
    """Return baselines on at most 60,000 rows of the source, on the model's scale.

    ``n_features`` are those of the model, where they are to be checked.

    Raises
    ------
    UsageError
        If the rows are sparse.
    InvalidData
        If they are of another width than ``n_features``, or fewer than two.
    """
    if n_features not in (None, source.n_features):
        raise InvalidData(
            f"{source.origin}: baselines of {source.n_features} features, but the model was fitted "
            f"to {n_features}; give the rows that it was fitted to, or such rows."
        )
    if source.n_rows < 2:
        raise InvalidData(
            f"{source.origin}: baselines of {source.n_rows} row, but PCA needs the variance of two "
            "or more; give training rows."
        )
    rows = source.sample(BASELINE_ROWS, generator=Generator().manual_seed(seed))
    if not isinstance(rows, Tensor):
        raise UsageError(f"baselines: {source.origin} is sparse; give dense rows.")
    prints = frozenset(_prints(rows))
    rows = scaling.forward(rows)
    assert isinstance(rows, Tensor)
    mean = rows.nanmean(dim=0).nan_to_num(nan=0.0)
    rows = torch.where(rows.isnan(), mean, rows)
    return Baselines(rows, fit_subspace(rows, width), prints)


def _prints(rows: Rows) -> Iterator[int]:
    for row in dense_rows(rows).numpy():
        yield hash(row.tobytes())


@dataclass(frozen=True, repr=False)
class Inpainted(PrintsTable):
    """Squared error of a hidden value, averaged over rows and hidden values, in ``unit``.

    Errors are NaN where no known value is hidden.
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
            return "nothing is hidden: the mask hides no known value, there is no error to measure"
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
    """Hide values of whole rows, fill them in, and measure against what was hidden.

    Values that are NaN are hidden, but do not count. ``passed`` is told how many more rows are
    done.
    """
    sums: dict[str, float] = {}
    n_hidden = first = 0
    blocks = inpainted(
        model, source, hidden, method=method, generator=Generator().manual_seed(seed)
    )
    scaling = Scaling(model.scaling.kind, **_on_cpu(model.scaling.tensors()))
    for raw, (fill, _) in zip(source.in_order(BATCH), blocks, strict=True):
        assert isinstance(raw, Tensor)
        part = hidden if len(hidden) == 1 else hidden[first : first + len(fill)]
        first += len(fill)
        where = torch.from_numpy(np.array(part)).expand(len(fill), -1)
        asked = where & ~raw.isnan()
        n_hidden += int(asked.sum())
        truth = dense_rows(scaling.forward(raw))
        fills = {"autoencoder": dense_rows(scaling.forward(torch.from_numpy(fill)))}
        if baselines is not None:
            fills |= dict(baseline_fills(baselines, scaling, raw, where))
        for name, version in fills.items():
            error = (version - truth)[asked].square().sum(dtype=torch.float64)
            sums[name] = sums.get(name, 0.0) + float(error)
        passed(len(fill))
    errors = {name: total / n_hidden if n_hidden else math.nan for name, total in sums.items()}
    return Inpainted(source.n_rows, n_hidden, errors, f"squared {model.scaling.unit}")


def baseline_fills(
    baselines: Baselines, scaling: Scaling, raw: Tensor, hidden: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Yield names and fills of rows in input units, which are not read where hidden."""
    x = scaling.forward(torch.where(hidden, torch.nan, raw))
    assert isinstance(x, Tensor)
    yield from baselines.fills(x.nan_to_num(nan=0.0), hidden | raw.isnan())


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in tensors.items()}
