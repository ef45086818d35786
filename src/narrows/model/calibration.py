"""Keep the errors of held-out rows in a model, for p-values of new rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.data.source import Source
from narrows.model.coding import errors
from narrows.model.model import Model

__all__ = ["MAX_CALIBRATION", "calibrate", "sorted_errors"]

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
    found = sorted_errors(model, source)
    if len(found) > MAX_CALIBRATION:
        drawn = torch.randperm(len(found), generator=Generator().manual_seed(seed))
        found = found[drawn[:MAX_CALIBRATION].sort().values]
    model.calibration = found if bool(torch.isfinite(found).all()) else None
