"""Measure a trained model: the errors of held-out rows, and the densities of its codes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.data.source import Source, drawn_by_weight, rows_at_a_time
from narrows.model.coding import BATCH, errors
from narrows.model.density import fit_densities, rows_for
from narrows.model.model import Model

__all__ = ["MAX_CALIBRATION", "calibrate", "calibrate_by", "fit_code_densities", "sorted_errors"]

MAX_CALIBRATION = 10_000
"""The largest number of errors that a model keeps: p-values down to 1 / 10,001, 40 kB."""


def sorted_errors(model: Model, source: Source) -> Tensor:
    """Return the errors L(x, g(f(x))) of rows in ascending order, float32."""
    return torch.from_numpy(np.concatenate(list(errors(model, source)))).sort().values


def calibrate(model: Model, source: Source, *, seed: int) -> None:
    """Set ``model.calibration`` to the errors of rows that training did not see.

    Of more than ``MAX_CALIBRATION`` errors a random sample is kept, drawn by ``seed``. If an error
    is not finite, the model keeps none.
    """
    calibrate_by(model, sorted_errors(model, source), seed=seed)


def calibrate_by(model: Model, found: Tensor, *, seed: int) -> None:
    """Set ``model.calibration`` to given errors, as ``calibrate`` does."""
    found = found.sort().values
    if len(found) > MAX_CALIBRATION:
        drawn = torch.randperm(len(found), generator=Generator().manual_seed(seed))
        found = found[drawn[:MAX_CALIBRATION].sort().values]
    model.calibration = found if bool(torch.isfinite(found).all()) else None


@torch.no_grad()
def fit_code_densities(model: Model, source: Source, *, seed: int) -> None:
    """Set ``model.densities`` to densities of its codes, fitted to at most 10,000 rows.

    Rows with weights are drawn by their weights. If the code has a posterior, one code of each row
    is drawn from it, as the decoder has learned to read it.
    """
    n_rows = rows_for(source.n_features, model.n_components)
    generator = Generator().manual_seed(seed)
    if source.weights is None:
        rows = source.sample(n_rows, generator=generator)
    else:
        rows = drawn_by_weight(source, min(n_rows, source.n_rows), generator=generator)
    noise = Generator(model.device).manual_seed(seed)
    codes = []
    for batch in rows.split(rows_at_a_time(source, BATCH)) if isinstance(rows, Tensor) else [rows]:
        code = model.objective.encode(model.scaling.forward(batch.to(model.device)))
        h = code.h if code.posterior is None else code.posterior.draw(generator=noise)
        codes.append(h.cpu().numpy())
    model.densities = fit_densities(np.concatenate(codes), seed=seed)
