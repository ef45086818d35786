"""Tell whether rows are those that a model was fitted to, and warn where p-values count them."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from narrows.core.slots import dense_rows
from narrows.data.copies import are_many, count_copies
from narrows.data.source import Source
from narrows.errors import CopiesWarning
from narrows.model.baseline import sample_size
from narrows.model.coding import scaled_batches
from narrows.model.model import Model

__all__ = ["held_out_among", "contains_calibration", "warn_of_calibration", "was_fitted_to"]

_ROUNDING = 1e-5
_CLOSE = 0.01
"""How near means of training rows are to those of the fit, in standard errors."""

_SINGLE = 1e-6
"""What single precision may do to a mean, as a share of the largest value."""


def was_fitted_to(model: Model, source: Source, errors: np.ndarray) -> bool:
    """Return whether these are all rows of a model's fit, or those that it trained on.

    All rows are known by their number and the errors (n_rows,) of those held out; those trained on
    by their number and their means. Cost: one pass over the rows where the number is that one.
    """
    if held_out_among(model, errors) is not None:
        return True
    return source.n_rows == model.record.get("n_rows") and _have_means(model, source)


def held_out_among(model: Model, errors: np.ndarray) -> int | None:
    """Return how many rows were held out, or None unless these are the errors of the fit's rows."""
    record, calibration = model.record, model.calibration
    n_held_out = record.get("n_validation_rows") or 0
    if calibration is None or len(errors) != (record.get("n_rows") or 0) + n_held_out:
        return None
    return n_held_out if contains_calibration(errors, calibration.cpu().numpy()) else None


def contains_calibration(found: np.ndarray, calibration: np.ndarray) -> bool:
    """Return whether every error of the calibration (n,) is among those found, but for rounding.

    This distinguishes the rows of a fit, of which some were held out, from as many others: the
    errors of other rows rarely match to five digits.
    """
    if not len(calibration) or not calibration.any():  # of a model without errors all are alike
        return False
    ordered = np.sort(found)
    above = np.searchsorted(ordered, calibration).clip(max=len(ordered) - 1)
    off = np.abs(ordered[[above, (above - 1).clip(min=0)]] - calibration).min(axis=0)
    return bool((off <= _ROUNDING * np.abs(calibration)).all())


@torch.no_grad()
def _have_means(model: Model, source: Source) -> bool:
    """Return whether the means of rows are those that the linear baseline was centered by.

    Of as many other rows they differ by about a standard error. Where the baseline has no means, or
    saw only a sample, nothing is known.
    """
    mean = None if model.baseline is None else model.baseline.mean
    if mean is None or source.n_rows > sample_size(source):
        return False
    wide = source.n_features
    count, total, squares, largest = (torch.zeros(wide, dtype=torch.float64) for _ in range(4))
    mean = mean.cpu().double()
    for _, x in scaled_batches(model, source):
        x = dense_rows(x).cpu().double()
        known = ~x.isnan()
        off = torch.where(known, x - mean, 0.0)
        count += known.sum(dim=0)
        total += off.sum(dim=0)
        squares += off.square().sum(dim=0)
        largest = torch.maximum(largest, x.nan_to_num(nan=0.0).abs().amax(dim=0))
    count = count.clamp_min(1)
    off = total / count
    standard_error = ((squares / count - off.square()).clamp_min(0) / count).sqrt()
    rounding = _SINGLE * largest
    telling = _CLOSE * standard_error > rounding
    near = off.abs() <= _CLOSE * standard_error + rounding
    return bool(telling.any()) and bool(near[telling].all())


def warn_of_calibration(calibration: Source, rows: Source, *, fitted: bool) -> None:
    """Warn if the rows that p-values count among are those of the fit, or the rows asked about.

    ``fitted`` says that ``calibration`` are rows of the fit. Cost: a pass over both.

    Warns
    -----
    CopiesWarning
    """
    if fitted:
        warnings.warn(
            f"{calibration.origin}: these are the rows that the model was fitted to: their errors "
            "are too small, and so are p-values that are counted among them; give normal rows "
            "that fit was not given.",
            CopiesWarning,
            stacklevel=4,
        )
        return
    copies = count_copies(calibration, rows)
    if are_many(copies, rows.n_rows):
        warnings.warn(
            f"{calibration.origin}: {copies} of the {rows.n_rows} rows of {rows.origin} are among "
            "these rows, so that their p-values are too large; give normal rows that are none of "
            "those to be judged.",
            CopiesWarning,
            stacklevel=4,
        )
