"""Recognize the rows that a model was fitted to, and warn of p-values computed from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from narrows.core.sparse import dense_rows
from narrows.data.copies import count_copies, too_many_copies
from narrows.data.source import Source
from narrows.errors import CopiesWarning, warn
from narrows.model.baseline import sample_size
from narrows.model.coding import scaled_batches
from narrows.model.model import Model

__all__ = [
    "contains_calibration",
    "held_out_among",
    "held_out_mask",
    "warn_of_calibration",
    "was_fitted_to",
]

_ROUNDING = 1e-5
_CLOSE = 0.01
"""Largest difference between the means of training rows and of the fit, in standard errors."""

_SINGLE = 1e-6
"""Rounding of a mean in single precision, as a share of the largest value."""


def was_fitted_to(model: Model, source: Source, errors: np.ndarray) -> bool:
    """Return whether these are all rows of the fit of a model, or its training rows.

    All rows of a fit are recognized by their number and by the ``errors`` (n_rows,) of those held
    out, training rows by their number and their means. Cost: one pass over the rows if the number
    matches.
    """
    if held_out_among(model, errors) is not None:
        return True
    return source.n_rows == model.record.get("n_rows") and _have_means(model, source)


def held_out_among(model: Model, errors: np.ndarray) -> int | None:
    """Return the number of held-out rows, or None if these are not the errors of the fit rows."""
    record, calibration = model.record, model.calibration
    n_held_out = record.get("n_validation_rows") or 0
    if calibration is None or len(errors) != (record.get("n_rows") or 0) + n_held_out:
        return None
    return n_held_out if contains_calibration(errors, calibration.cpu().numpy()) else None


def held_out_mask(
    model: Model, source: Source, errors_of: Callable[[], np.ndarray]
) -> np.ndarray | None:
    """Return which rows were held out, bool (n_rows,), or None if these are not the fit rows.

    ``errors_of`` returns the errors (n_rows,) of the rows; it is called if their number matches.
    If only a sample of the held-out errors was kept, only the rows of the sample are marked.
    """
    record, calibration = model.record, model.calibration
    n_fit = (record.get("n_rows") or 0) + (record.get("n_validation_rows") or 0)
    if calibration is None or source.n_rows != n_fit:
        return None
    found = errors_of()
    if held_out_among(model, found) is None:
        return None
    order = np.argsort(found, kind="stable")
    ordered, wanted = found[order], np.sort(calibration.cpu().numpy())
    mask, free = np.zeros(len(found), dtype=bool), 0
    for error in wanted:
        # the nearest row that is not taken yet: rows with the same words have the same error
        above = int(np.searchsorted(ordered, error))
        place = min(
            (p for p in (above - 1, above) if free <= p < len(ordered)),
            key=lambda p: abs(ordered[p] - error),
            default=free,
        )
        free = min(place + 1, len(ordered) - 1)
        mask[order[place]] = True
    return mask


def contains_calibration(found: np.ndarray, calibration: np.ndarray) -> bool:
    """Return whether every error of the calibration (n,) is among ``found``, up to rounding.

    This tells the rows of a fit, of which some were held out, from as many other rows, whose errors
    rarely match to five digits.
    """
    if not len(calibration) or not calibration.any():  # without errors all rows are alike
        return False
    ordered = np.sort(found)
    above = np.searchsorted(ordered, calibration).clip(max=len(ordered) - 1)
    off = np.abs(ordered[[above, (above - 1).clip(min=0)]] - calibration).min(axis=0)
    return bool((off <= _ROUNDING * np.abs(calibration)).all())


@torch.no_grad()
def _have_means(model: Model, source: Source) -> bool:
    """Return whether the means of rows are those of the linear baseline.

    The means of as many other rows differ by about a standard error. False if the baseline has no
    means, or was fitted to a sample.
    """
    mean = None if model.baseline is None else model.baseline.mean
    if mean is None or source.n_rows > sample_size(source):
        return False
    count, total, squares, largest = torch.zeros(4, source.n_features, dtype=torch.float64)
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
    conclusive = _CLOSE * standard_error > rounding
    near = off.abs() <= _CLOSE * standard_error + rounding
    return bool(conclusive.any()) and bool(near[conclusive].all())


def warn_of_calibration(calibration: Source, rows: Source, *, fitted: bool) -> None:
    """Warn if the calibration rows are rows of the fit, or copies of the query ``rows``.

    ``fitted`` tells whether ``calibration`` are rows of the fit. Cost: a pass over both.

    Warns
    -----
    CopiesWarning
    """
    if fitted:
        warn(
            f"{calibration.origin}: the model was fitted to these rows, so their errors are too "
            "small, and p-values computed from them are too low; pass normal rows that fit did not "
            "see.",
            CopiesWarning,
        )
        return
    copies = count_copies(calibration, rows)
    if too_many_copies(copies, rows.n_rows):
        warn(
            f"{calibration.origin}: {copies} of the {rows.n_rows} rows of {rows.origin} are among "
            f"these rows, so their p-values are too high; pass normal rows that are not in "
            f"{rows.origin}.",
            CopiesWarning,
        )
